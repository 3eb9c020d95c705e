#!/usr/bin/env bash
# How many instructions a piece of work takes: a figure that no other program on the machine can disturb.
#
#   benches/instructions.sh [WORK…]
#
# Needs valgrind. Each is counted over few and over more repetitions: the difference is without start and end.
# A dispatch is of one frame of ten records; its figure is per record.
set -euo pipefail
cd "$(dirname "$0")/.."

works=("$@")
if [ $# = 0 ]; then
    works=(encode decode encode-serde decode-serde take-any dispatch-1 dispatch-10 dispatch-1000 dispatch-names-1000 codegen-100)
fi

program=$(cargo bench --bench instructions --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)

count() { # work, times
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

for work in "${works[@]}"; do
    few=100 more=1100 per=1
    case $work in
        dispatch-1000) few=10 more=60 per=10 ;;
        dispatch-*) per=10 ;;
        codegen-*) few=1 more=3 ;;
    esac
    instructions=$((($(count "$work" $more) - $(count "$work" $few)) / (more - few) / per))
    printf '%-22s %12d\n' "$work" "$instructions"
done
