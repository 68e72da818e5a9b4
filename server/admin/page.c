/* SPDX-License-Identifier: MIT */
/* page.c: HTML from struct metrics. Everything printed is a number or a text of our own, so nothing
 * has to be escaped. Widths are attributes of SVG, which the policy allows, unlike style
 * attributes.
 */
#include "page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define BAR_WIDTH 1000.0

/* ---- around it ---- */

bool page_nonce(char nonce[PAGE_NONCE_BYTES])
{
    unsigned char bytes[(PAGE_NONCE_BYTES - 1) / 2];
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

void page_headers(const char *nonce, char *headers, size_t size)
{
    snprintf(headers, size,
             "Content-Security-Policy: default-src 'none'; style-src 'nonce-%s'; img-src data:; "
             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
             "X-Content-Type-Options: nosniff\r\n"
             "Referrer-Policy: no-referrer\r\n"
             "Cache-Control: no-store\r\n",
             nonce);
}

void page_format_bytes(char *text, size_t size, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) {
        snprintf(text, size, "%" PRIu64 " B", bytes);
        return;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(text, size, "%.1f %s", value, units[unit]);
}

/* ---- what stays the same ---- */

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1c2b33;--soft:#5a6b75;--back:#f6f8f8;--card:#fff;"
    "--line:#dde4e6;--link:#0b6b78}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e3ebee;--soft:#9db0b9;--back:#10181c;"
    "--card:#182329;--line:#2b3a42;--link:#6cc7d4}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--back);color:var(--ink);"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
    "main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 3rem}"
    "h1{font-size:2.2rem;line-height:1.2;margin:0;letter-spacing:-.02em}"
    "h2{font-size:1.05rem;margin:2rem 0 .75rem}"
    "p{margin:.25rem 0 0;color:var(--soft)}"
    "a{color:var(--link)}a:focus-visible{outline:2px solid;outline-offset:3px}"
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.75rem;"
    "margin:1.75rem 0 0}"
    "dl div,section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;"
    "padding:.8rem 1rem}"
    "dt{font-size:.8rem;color:var(--soft)}"
    "dd{margin:0;font-size:1.35rem;font-variant-numeric:tabular-nums}"
    "svg.bar{display:block;width:100%;height:2.25rem;border-radius:.3rem;margin-bottom:.75rem}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th{text-align:left;font-weight:600}td{padding-left:1rem}"
    "th,td{border-top:1px solid var(--line);padding-top:.3rem;padding-bottom:.3rem}"
    "tr:first-child>*{border-top:0}td.n{text-align:right;white-space:nowrap}"
    "td.w{color:var(--soft)}svg.key{width:.75rem;height:.75rem;margin-right:.5rem}"
    "nav{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem}"
    "@media(max-width:40rem){td.w{display:none}main{padding:1.25rem .9rem 2rem}}"
    ".live{fill:#1b8a94}.item_header{fill:#5fb3b3}.slot_slack{fill:#9ad0c9}"
    ".large_slack{fill:#c3e2d9}.slot_free{fill:#e0a030}.span_idle{fill:#f2cf7e}.index{fill:#6a5acd}"
    ".policy{fill:#8c7fd9}.allocator_metadata{fill:#b1a8e6}.connections{fill:#d9705f}"
    ".libc_heap{fill:#8896a5}.stacks{fill:#a7b3be}.file{fill:#5f6f7d}.program{fill:#74808b}"
    ".unattributed{fill:#d11f4c}";

static const char head[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Ebb</title>"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<meta http-equiv=\"refresh\" content=\"5\"><link rel=\"icon\" href=\"data:,\">";

static const char links[] =
    "<h2>More</h2><nav aria-label=\"More\"><a href=\"/metrics\">/metrics</a>"
    "<a href=\"/healthz\">/healthz</a><a href=\"/readyz\">/readyz</a></nav></main></body></html>\n";

static void add_text(struct ebb_buf *out, const char *text)
{
    ebb_buf_add(out, text, strlen(text));
}

/* ---- figures ---- */

static void write_figure(struct ebb_buf *out, const char *name, const char *value)
{
    ebb_buf_printf(out, "<div><dt>%s</dt><dd>%s</dd></div>", name, value);
}

static void write_bytes(struct ebb_buf *out, const char *name, uint64_t bytes)
{
    char text[32];
    page_format_bytes(text, sizeof text, bytes);
    write_figure(out, name, text);
}

static void write_count(struct ebb_buf *out, const char *name, uint64_t count)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, count);
    write_figure(out, name, text);
}

/* A ratio of nothing is shown as a dash. */
static void write_ratio(struct ebb_buf *out, const char *name, double part, double whole,
                        const char *format)
{
    char text[32] = "&ndash;";
    if (whole > 0)
        snprintf(text, sizeof text, format, part / whole);
    write_figure(out, name, text);
}

static void write_figures(const struct metrics *metrics, struct ebb_buf *out)
{
    const struct sample *sample = &metrics->sample;
    uint64_t clients = metrics->counters.connections[PROTOCOL_RESP] +
                       metrics->counters.connections[PROTOCOL_MEMCACHED];
    add_text(out, "<dl>");
    write_bytes(out, "resident", sample->memory.resident_bytes);
    write_bytes(out, "live", sample->live_bytes);
    write_ratio(out, "resident / live", (double)sample->memory.resident_bytes,
                (double)sample->live_bytes, "%.2f");
    write_bytes(out, "highest resident", sample->resident_peak.bytes);
    write_bytes(out, "highest live", sample->live_peak.bytes);
    write_bytes(out, "given back", metrics->store.pool.trim_bytes);
    write_bytes(out, "moved", metrics->work.moved_bytes);
    write_count(out, "items", metrics->store.items);
    write_ratio(out, "hits", 100 * (double)metrics->store.hits, (double)metrics->store.lookups,
                "%.1f %%");
    write_count(out, "clients", clients);
    add_text(out, "</dl>");
}

/* ---- parts ---- */

static void write_bar(const struct sample *sample, struct ebb_buf *out)
{
    double at = 0, whole = (double)sample->memory.resident_bytes;
    ebb_buf_printf(out,
                   "<svg class=\"bar\" viewBox=\"0 0 %.0f 36\" preserveAspectRatio=\"none\" "
                   "role=\"img\" aria-label=\"Parts of resident memory; the table has them\">",
                   BAR_WIDTH);
    for (size_t i = 0; i < PART_COUNT && whole > 0; i++) {
        double width = (double)sample->parts.bytes[i] / whole * BAR_WIDTH;
        if (width > 0)
            ebb_buf_printf(out, "<rect class=\"%s\" x=\"%.3f\" width=\"%.3f\" height=\"36\"/>",
                           part_name(i), at, width);
        at += width;
    }
    add_text(out, "</svg>");
}

static void write_part(const struct sample *sample, enum part part, struct ebb_buf *out)
{
    char bytes[32];
    double whole = (double)sample->memory.resident_bytes;
    double share = whole > 0 ? 100 * (double)sample->parts.bytes[part] / whole : 0;
    page_format_bytes(bytes, sizeof bytes, sample->parts.bytes[part]);
    ebb_buf_printf(
        out,
        "<tr><th scope=\"row\"><svg class=\"key\" viewBox=\"0 0 1 1\" "
        "aria-hidden=\"true\"><rect class=\"%s\" width=\"1\" height=\"1\"/></svg>%s</th>"
        "<td class=\"w\">%s</td><td class=\"n\">%s</td><td class=\"n\">%.1f %%</td></tr>",
        part_name(part), part_name(part), part_help(part), bytes, share);
}

void page_write(const struct metrics *metrics, const char *nonce, struct ebb_buf *out)
{
    add_text(out, head);
    ebb_buf_printf(out, "<style nonce=\"%s\">%s</style></head><body><main>", nonce, style);
    add_text(out, "<header><h1>Ebb</h1><p>The cache server that gives memory back. "
                  "Version " EBB_VERSION ".</p></header>");
    write_figures(metrics, out);
    add_text(out, "<h2>What resident memory is</h2><section>");
    write_bar(&metrics->sample, out);
    add_text(out, "<table>");
    for (size_t i = 0; i < PART_COUNT; i++)
        write_part(&metrics->sample, i, out);
    add_text(out, "</table></section>");
    add_text(out, links);
}
