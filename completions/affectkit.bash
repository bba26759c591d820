# Completion of affectkit for bash, made by `affectkit completions bash`; do not edit.
# To install: copy this file to ~/.local/share/bash-completion/completions/affectkit, or write
# "source /path/to/affectkit.bash" into ~/.bashrc.

_affectkit() {
    local row program=${1/#\~/$HOME}
    COMPREPLY=()
    while IFS= read -r row; do
        if [[ $row != '<files>' ]]; then
            [[ -n $row ]] && COMPREPLY+=("$row")
        elif ! compopt -o default 2>/dev/null; then # bash 3.2 has no compopt
            while IFS= read -r row; do COMPREPLY+=("$row"); done < <(compgen -f -- "$2")
        fi
    done < <(_AFFECTKIT_COMPLETE=complete_bash _TYPER_COMPLETE_ARGS="${COMP_LINE:0:COMP_POINT}" \
        _TYPER_COMPLETE_BREAKS="$COMP_WORDBREAKS" "$program" 2>/dev/null)
}

complete -F _affectkit affectkit
