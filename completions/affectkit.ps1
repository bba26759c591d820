# Completion of affectkit for PowerShell, made by `affectkit completions powershell`; do not edit.
# To install: write ". C:\path\to\affectkit.ps1" into the file whose name $PROFILE holds.

Register-ArgumentCompleter -Native -CommandName 'affectkit', 'affectkit.exe' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $length = $cursorPosition - $commandAst.Extent.StartOffset
    $line = $commandAst.Extent.Text.PadRight($length).Substring(0, $length)
    $env:_AFFECTKIT_COMPLETE = 'complete_powershell'
    $env:_TYPER_COMPLETE_ARGS = $line.Replace('\', '\\') # Typer reads the line as a POSIX shell does
    try {
        $rows = @(& $commandAst.GetCommandName() 2>$null)
    } finally {
        Remove-Item Env:_AFFECTKIT_COMPLETE, Env:_TYPER_COMPLETE_ARGS
    }
    $option = if ("$wordToComplete" -match '^--[^=]+=') { $Matches[0] } else { '' }
    if ($rows[0] -eq '<files>') {
        if ($option -eq '') { return } # where a script offers nothing, PowerShell offers paths
        [System.Management.Automation.CompletionCompleters]::CompleteFilename(
            "$wordToComplete".Substring($option.Length)) | ForEach-Object {
            New-Object System.Management.Automation.CompletionResult `
                ($option + $_.CompletionText), $_.ListItemText, $_.ResultType, $_.ToolTip
        }
    } elseif ("$rows" -eq '') {
        '' # keeps PowerShell from offering paths
    } else {
        foreach ($row in $rows) {
            $text, $tip = $row -split "`t", 2
            if (-not $tip) { $tip = $text }
            New-Object System.Management.Automation.CompletionResult $text, $text, 'ParameterValue', $tip
        }
    }
}
