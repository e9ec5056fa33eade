<#
.SYNOPSIS
    Shows what runs, which lock it holds and what is duplicated, through qc-ps.exe.
.DESCRIPTION
    Emits one object per instance. qc-ps.exe is looked for here, in bin\ and on PATH.
    Other arguments, such as --all-roots, go to qc-ps.exe.
    Exit codes are those of qc-ps.exe; 127 if it was not found.
.PARAMETER Json
    Print the JSON of qc-ps.exe as it is.
.PARAMETER Check
    Run qc-ps.exe --check: exit code 3 if there are duplicates or unlocked brains.
.EXAMPLE
    .\check_processes.ps1 | Where-Object role -eq 'brain'
.EXAMPLE
    powershell -ExecutionPolicy Bypass -File check_processes.ps1 -Check
#>
param(
    [switch]$Json,
    [switch]$Check,
    [Parameter(ValueFromRemainingArguments = $true)]
    [string[]]$Rest
)

$places = (Join-Path $PSScriptRoot 'qc-ps.exe'), (Join-Path $PSScriptRoot 'bin\qc-ps.exe')
$tool = $places | Where-Object { Test-Path -LiteralPath $_ -PathType Leaf } | Select-Object -First 1
if (-not $tool) {
    $tool = Get-Command 'qc-ps.exe' -CommandType Application -ErrorAction SilentlyContinue |
        Select-Object -First 1 -ExpandProperty Path
}
if (-not $tool) {
    [Console]::Error.WriteLine("qc-ps.exe was not found. Looked for $($places -join ', ') and on PATH.")
    [Console]::Error.WriteLine('Put qc-ps.exe beside this script, or add its folder to PATH.')
    exit 127
}

$arguments = @()
$config = Join-Path $PSScriptRoot 'MASTER_CONFIG.json'
$named = $Rest | Where-Object { $_ -match '^--(root|config)(=|$)' }
if ((Test-Path -LiteralPath $config) -and -not $named) { $arguments += '--root', $PSScriptRoot }
if ($Rest) { $arguments += $Rest }
if ($Check) { $arguments += '--check' }

if ($Check -or $Json) {
    if ($Json) { $arguments += '--json' }
    & $tool @arguments
    exit $LASTEXITCODE
}

# qc-ps.exe writes UTF-8; Windows PowerShell would read the console's old code page.
$encoding = [Console]::OutputEncoding
try { [Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false } catch { }
try { $text = (& $tool @arguments --json) -join "`n" }
finally { try { [Console]::OutputEncoding = $encoding } catch { } }
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
($text | ConvertFrom-Json).processes
