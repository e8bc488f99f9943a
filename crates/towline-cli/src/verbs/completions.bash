
# Transfers by their numbers, where a verb takes them.
_towline_and_numbers() {
    _towline "$@"
    local word verb= current="${COMP_WORDS[COMP_CWORD]}" states=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$word" in
            pause) verb=1 states=waiting,in_progress,waiting_for_network ;;
            resume) verb=1 states=paused ;;
            retry) verb=1 states=failed,canceled ;;
            cancel) verb=1 states=waiting,in_progress,waiting_for_network,paused ;;
            remove | show | watch) verb=1 ;;
            *) continue ;;
        esac
        break
    done
    if [[ -z $verb || $current == -* || ${COMP_WORDS[COMP_CWORD-1]} == -* ]]; then
        return 0
    fi
    local numbers
    numbers=$(command towline list --json ${states:+--state "$states"} 2>/dev/null |
        sed -n 's/.*[{,]"id":\([0-9][0-9]*\)[,}].*/\1/p')
    COMPREPLY=($(compgen -W "$numbers" -- "$current"))
}
complete -F _towline_and_numbers -o nosort -o bashdefault -o default towline 2>/dev/null ||
    complete -F _towline_and_numbers -o bashdefault -o default towline
