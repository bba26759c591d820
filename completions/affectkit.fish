# Completion of affectkit for fish, made by `affectkit completions fish`; do not edit.
# To install: copy this file to ~/.config/fish/completions/affectkit.fish

function __affectkit
    set -l program (string replace -r '^~/' ~/ -- (commandline -opc)[1])
    set -lx _AFFECTKIT_COMPLETE complete_fish
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp | string collect)
    set -l rows ($program 2>/dev/null)
    set -e _AFFECTKIT_COMPLETE
    if test "$rows" != '<files>'
        string join \n -- $rows
        return
    end
    set -l token (commandline -ct)
    set -l option (string match -r -- '^--[^=]+=' $token)
    set -l paths (complete -C"'' "(string replace -- "$option" '' $token))
    string join \n -- "$option"$paths
end

complete -c affectkit -f -a '(__affectkit)'
