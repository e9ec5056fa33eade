<#
.SYNOPSIS
    Shows what runs, which lock it holds and what is duplicated, through qc-ps.exe.
.DESCRIPTION
    Emits one object per program that runs, with the properties of the JSON of qc-ps.exe:
    component, role, account_key, account, pids, wrapper_pids, lock, state, supervised, since,
    uptime_seconds, cpu_percent, memory_bytes, terminal, folder, command.
    qc-ps.exe is looked for here, in bin\ and on PATH. Other arguments, such as --role brain or
    --mask, go to qc-ps.exe.
    Exit codes are those of qc-ps.exe; 127 if it was not found.
.PARAMETER Check
    Print one line for each thing that is wrong; exit code 3 if there is any.
.PARAMETER Findings
    Emit what is wrong as objects instead: kind, text, components, pids.
.PARAMETER Locks
    Emit the locks that none of these programs holds instead, such as stale ones.
.PARAMETER Json
    Print the JSON of qc-ps.exe as it is.
.EXAMPLE
    .\check_processes.ps1 | Where-Object Role -eq 'brain'
.EXAMPLE
    .\check_processes.ps1 --state rogue | Select-Object Component, Account, Pids
.EXAMPLE
    powershell -ExecutionPolicy Bypass -File check_processes.ps1 -Check
#>
param(
    [switch]$Check,
    [switch]$Findings,
    [switch]$Locks,
    [switch]$Json,
    [Parameter(ValueFromRemainingArguments = $true)]
    [object[]]$Rest
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
# PowerShell takes `brain,watchdog` for a list of two.
$words = @($Rest | Where-Object { $null -ne $_ } | ForEach-Object { $_ -join ',' })
$named = $words | Where-Object { $_ -match '^--(root|config)(=|$)' }
if ((Test-Path -LiteralPath $config) -and -not $named) { $arguments += '--root', $PSScriptRoot }
$arguments += $words

if ($Check -or $Json) {
    if ($Check) { $arguments += '--check' }
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

# PowerShell 7 would turn times into dates, Windows PowerShell 5.1 does not: here both get dates.
$report = $text | ConvertFrom-Json
$rows = if ($Findings) { $report.findings } elseif ($Locks) { $report.locks } else { $report.processes }
foreach ($row in $rows) {
    if ($row.since -is [string]) { $row.since = [DateTime]::Parse($row.since, [cultureinfo]::InvariantCulture) }
    $row
}
