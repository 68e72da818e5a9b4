#!/bin/sh
# Makes one page of the report's files: head.html, up to where the runs go, and tail.html, the rest. Its
# policy allows these scripts and this style by their hashes, and nothing else.
#   page.sh OUT DYGRAPH_JS DYGRAPH_CSS FORMAT_JS
set -eu
cd "$(dirname "$0")/../.."
out=$1
page=bench/tide/page
mkdir -p "$out"

hash() {
    printf "'sha256-%s'" "$(sha256sum "$1" | cut -c 1-64 | tr a-f A-F | basenc --base16 -d | base64)"
}

cp "$2" "$out/dygraph.js"
cat "$3" "$page/report.css" >"$out/style.css"
# One module: what one file exports and the other imports is in the same place here.
cat "$4" "$page/report.js" | sed 's/^export //; /^import /d' >"$out/script.js"
if grep -il '</script\|</style\|<!--' "$out/dygraph.js" "$out/script.js" "$out/style.css" >&2; then
    echo "page.sh: this file would end its own element" >&2
    exit 1
fi
policy="default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"
policy="$policy; style-src $(hash "$out/style.css")"
policy="$policy; script-src $(hash "$out/dygraph.js") $(hash "$out/script.js")"
{
    sed "s|@POLICY@|$policy|; /@STYLE@/,\$d" "$page/report.html"
    printf '<style>'
    cat "$out/style.css"
    printf '</style>\n'
    sed '1,/@STYLE@/d; /@RUNS@/,$d' "$page/report.html"
    printf '<script type="application/json" id="runs">'
} >"$out/head.html"
{
    printf '</script>\n<script>'
    cat "$out/dygraph.js"
    printf '</script>\n<script type="module">'
    cat "$out/script.js"
    printf '</script>\n'
    sed '1,/@RUNS@/d' "$page/report.html"
} >"$out/tail.html"
