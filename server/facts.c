/* SPDX-License-Identifier: MIT */
/* facts.c: from figures to a verdict. The rules stand in the order in which they are worth reading:
 * what is most out of order first. A cause is named when it holds at least 1 MiB and 3 % of what is
 * resident: below that nothing is worth anybody's time.
 */
#include "facts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define WORTH_BYTES   ((size_t)1 << 20)
#define WORTH_PERCENT 3u

size_t facts_part(const struct memory_facts *facts, const char *name)
{
    for (unsigned i = 0; i < facts->part_count; i++)
        if (strcmp(facts->parts[i].name, name) == 0)
            return facts->parts[i].bytes;
    return 0;
}

void facts_format_bytes(char *text, size_t size, uint64_t bytes)
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

/* ---- the rules ---- */

struct amount {
    char text[FACTS_BYTES_TEXT];
};

static struct amount amount(size_t bytes)
{
    struct amount made = {""};
    facts_format_bytes(made.text, sizeof made.text, bytes);
    return made;
}

static bool is_worth(const struct memory_facts *facts, size_t bytes)
{
    return bytes >= WORTH_BYTES && bytes >= facts->resident_bytes / 100 * WORTH_PERCENT;
}

static void say_what_it_is(const struct memory_facts *facts, struct ebb_buf *out)
{
    struct amount resident = amount(facts->resident_bytes), live = amount(facts->live_bytes);
    if (facts->live_bytes >= WORTH_BYTES)
        ebb_buf_printf(out, "%s are resident for %s of live keys and values: %.2f times as much.\n",
                       resident.text, live.text,
                       (double)facts->resident_bytes / (double)facts->live_bytes);
    else
        ebb_buf_printf(out, "%s are resident, and %s of keys and values are live.\n", resident.text,
                       live.text);
}

/* Not a cause to do something about, but the reason why a small cache looks large. */
static void say_process(const struct memory_facts *facts, struct ebb_buf *out)
{
    static const char *const parts[] = {"file", "program", "stacks", "libc_heap", "history"};
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        bytes += facts_part(facts, parts[i]);
    if (bytes >= facts->resident_bytes / 10)
        ebb_buf_printf(out, "%s of it are the program itself, whatever is stored.\n",
                       amount(bytes).text);
}

static bool say_limit(const struct memory_facts *facts, struct ebb_buf *out)
{
    bool is_full = facts->resident_bytes >= facts->limit_bytes / 20 * 19;
    bool is_evicting = facts->evicted_per_second > 0;
    if (facts->limit_bytes == 0 || !(is_full || is_evicting))
        return false;
    ebb_buf_printf(out, "That is %.0f %% of the limit of %s",
                   100 * (double)facts->resident_bytes / (double)facts->limit_bytes,
                   amount(facts->limit_bytes).text);
    if (is_evicting)
        ebb_buf_printf(out, ", and items are evicted to stay below it: %.0f a second",
                       ceil(facts->evicted_per_second));
    ebb_buf_printf(out, ". Store less, let items expire, or raise maxmemory.\n");
    return true;
}

static bool say_swapped(const struct memory_facts *facts, struct ebb_buf *out)
{
    if (facts->swap_bytes < WORTH_BYTES)
        return false;
    ebb_buf_printf(
        out,
        "The system has swapped %s out: clients wait for the disk. Give the machine more "
        "memory or lower maxmemory.\n",
        amount(facts->swap_bytes).text);
    return true;
}

/* Buffers are counted by what they have room for; of that only what was written is resident. Hence
 * shares and not bytes. */
static bool say_connections(const struct memory_facts *facts, struct ebb_buf *out)
{
    size_t bytes = facts_part(facts, "connections");
    size_t buffers = facts->unread_bytes + facts->unfinished_bytes;
    if (!is_worth(facts, bytes))
        return false;
    unsigned unread = buffers == 0 ? 0 : (unsigned)(facts->unread_bytes * 100.0 / (double)buffers);
    ebb_buf_printf(out, "%s are held by %zu clients and their buffers", amount(bytes).text,
                   facts->clients);
    if (buffers >= bytes / 2)
        ebb_buf_printf(out,
                       ": %u %% of it for replies they have not read, %u %% for commands they have "
                       "not finished",
                       unread, 100 - unread);
    ebb_buf_printf(out, ". It goes when they read, finish or are closed: CLIENT LIST names them. "
                        "client-output-limit, client-query-buffer-limit and maxmemory-clients "
                        "bound it.\n");
    return true;
}

/* A large value is pinned until its clients have taken it, a shorter one for one write. */
static bool say_pinned(const struct memory_facts *facts, struct ebb_buf *out)
{
    if (!is_worth(facts, facts->pinned_bytes))
        return false;
    ebb_buf_printf(out,
                   "%s could not move at that moment: large values there were on their way to "
                   "clients. That passes when they have been read; look again.\n",
                   amount(facts->pinned_bytes).text);
    return true;
}

static bool say_fragmented(const struct memory_facts *facts, struct ebb_buf *out)
{
    if (!is_worth(facts, facts->reclaimable_bytes))
        return false;
    ebb_buf_printf(out, "Compaction can still free %s%s.\n", amount(facts->reclaimable_bytes).text,
                   facts->is_compacting ? " and is at it: look again in a moment"
                                        : ": MEMORY PURGE does it now");
    return true;
}

static bool say_idle(const struct memory_facts *facts, struct ebb_buf *out)
{
    if (!is_worth(facts, facts->idle_bytes))
        return false;
    if (facts->keep_bytes < facts->idle_bytes / 2)
        ebb_buf_printf(out, "%s are free and on their way back to the system.\n",
                       amount(facts->idle_bytes).text);
    else
        ebb_buf_printf(out,
                       "%s are free and kept: within the last %.1f s the load needed them. Without "
                       "demand they go back by themselves; MEMORY PURGE gives them back now.\n",
                       amount(facts->idle_bytes).text, facts->window_seconds);
    return true;
}

/* No fault, but what many small values cost: who wants less must store fewer and larger ones. */
static bool say_overhead(const struct memory_facts *facts, struct ebb_buf *out)
{
    size_t bytes = facts_part(facts, "item_header") + facts_part(facts, "index") +
                   facts_part(facts, "slot_slack");
    if (facts->items == 0 || !is_worth(facts, bytes) || bytes < facts->live_bytes / 4)
        return false;
    ebb_buf_printf(out,
                   "%s are index, headers and rounding of %zu items: %.0f bytes each. Fewer and "
                   "larger values would need less.\n",
                   amount(bytes).text, facts->items, (double)bytes / (double)facts->items);
    return true;
}

static bool say_unattributed(const struct memory_facts *facts, struct ebb_buf *out)
{
    size_t bytes = facts_part(facts, "unattributed");
    if (!is_worth(facts, bytes))
        return false;
    ebb_buf_printf(out, "%s have no name: that is a fault of these books, please report it.\n",
                   amount(bytes).text);
    return true;
}

void facts_verdict(const struct memory_facts *facts, struct ebb_buf *out)
{
    static bool (*const rules[])(const struct memory_facts *facts, struct ebb_buf *out) = {
        say_limit,      say_swapped, say_connections, say_pinned,
        say_fragmented, say_idle,    say_overhead,    say_unattributed,
    };
    if (facts->time_seconds == 0) {
        ebb_buf_printf(out, "Nothing is known yet: the first look at memory is to come.\n");
        return;
    }
    say_what_it_is(facts, out);
    say_process(facts, out);
    unsigned said = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        said += rules[i](facts, out);
    if (said == 0)
        ebb_buf_printf(out, "All is well: only storing less would make it smaller.\n");
}
