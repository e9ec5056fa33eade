<#
.SYNOPSIS
    Puts the tools and the scripts beside a MASTER_CONFIG.json, and takes them away again.
.DESCRIPTION
    What is replaced is kept in qc-backup beside the config, and --uninstall puts it back. So are
    SAFE_SHUTDOWN.py and MASTER_LAUNCH.py: the old shutdown beside the new launcher ends processes that
    are started again at once. A file that was changed after it had been installed is kept as
    NAME.changed. Stop the fleet first. Run again to upgrade. Exit codes: 0 done, 1 failed, 2 wrong usage.
.EXAMPLE
    powershell -ExecutionPolicy Bypass -File install.ps1 C:\trading
.EXAMPLE
    powershell -ExecutionPolicy Bypass -File install.ps1 --uninstall C:\trading
#>
param(
    [switch]$Uninstall,
    [Parameter(ValueFromRemainingArguments = $true)]
    [string[]]$Rest
)
$ErrorActionPreference = 'Stop'

function Stop-With([string]$message, [int]$code) {
    [Console]::Error.WriteLine("install.ps1: $message")
    exit $code
}
function Get-Sum([string]$path) { (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash.ToLowerInvariant() }

# Each file is either old or new at any moment, even after an interruption.
function Copy-Over([string]$from, [string]$to) {
    Copy-Item -LiteralPath $from -Destination "$to.qc-new" -Force
    Move-Item -LiteralPath "$to.qc-new" -Destination $to -Force
}

# Name and checksum of what was installed, in the order of the list.
function Read-List {
    $found = [ordered]@{}
    if (Test-Path -LiteralPath $list) {
        foreach ($line in [IO.File]::ReadAllLines($list)) {
            $sum, $name = $line -split '  ', 2
            if ($name) { $found[$name] = $sum }
        }
    }
    $found
}
function Write-List($entries) {
    $lines = foreach ($name in $entries.Keys) { "$($entries[$name])  $name`n" }
    [IO.File]::WriteAllText("$list.new", -join $lines)
    Move-Item -LiteralPath "$list.new" -Destination $list -Force
}

# The file, if it is not as it was installed.
function Save-Change([string]$name, [string]$sum) {
    $path = Join-Path $folder $name
    if ((Test-Path -LiteralPath $path -PathType Leaf) -and (Get-Sum $path) -ne $sum) {
        Move-Item -LiteralPath $path -Destination "$path.changed" -Force
        Write-Output "kept your changes of $name as $name.changed"
    }
}

# A program that runs can't be replaced: say so before anything is.
function Assert-Free([string[]]$names) {
    foreach ($name in $names) {
        $path = Join-Path $folder $name
        if (-not (Test-Path -LiteralPath $path)) { continue }
        try { [IO.File]::Open($path, 'Open', 'ReadWrite', 'None').Dispose() }
        catch { Stop-With "$path can't be replaced: $($_.Exception.Message) Stop the fleet with SAFE_SHUTDOWN.bat first." 1 }
    }
}

if ($Rest -contains '--uninstall') { $Uninstall = $true }
$names = @($Rest | Where-Object { $_ -and $_ -ne '--uninstall' })
if ($names.Count -ne 1 -or $names[0] -like '-*') { Stop-With 'name the folder with MASTER_CONFIG.json, as in: install.ps1 C:\trading' 2 }
$folder = $names[0]
if ((Split-Path -Leaf $folder) -eq 'MASTER_CONFIG.json') { $folder = Split-Path -Parent $folder }
if (-not $folder) { $folder = '.' }
if (-not (Test-Path -LiteralPath (Join-Path $folder 'MASTER_CONFIG.json') -PathType Leaf)) {
    Stop-With "there is no MASTER_CONFIG.json in $folder. Name the folder that has it, or write one with ``qc-launch init``." 1
}
$folder = (Resolve-Path -LiteralPath $folder).ProviderPath
$backup = Join-Path $folder 'qc-backup'
$list = Join-Path $backup 'installed.txt'
$installed = Read-List
$oldScripts = 'SAFE_SHUTDOWN.py', 'MASTER_LAUNCH.py' # what is moved aside

try {
    if ($Uninstall) {
        if ($installed.Count -eq 0) { Stop-With "nothing is installed in $folder; there is no $list." 1 }
        Assert-Free @($installed.Keys)
        foreach ($name in $installed.Keys) {
            $saved = Join-Path $backup $name
            $path = Join-Path $folder $name
            $both = (Test-Path -LiteralPath $saved) -and (Test-Path -LiteralPath $path)
            if ($both -and (Get-Sum $saved) -eq (Get-Sum $path)) { continue }
            Save-Change $name $installed[$name]
            if (Test-Path -LiteralPath $saved) { Copy-Over $saved $path }
            elseif (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path -Force }
        }
        # Only now, so that an interrupted run can begin again.
        foreach ($name in $installed.Keys) {
            $saved = Join-Path $backup $name
            if (Test-Path -LiteralPath $saved) { Remove-Item -LiteralPath $saved -Force }
        }
        Remove-Item -LiteralPath $list -Force
        if (@(Get-ChildItem -LiteralPath $backup -Force).Count -eq 0) { Remove-Item -LiteralPath $backup }
        Write-Output "Removed from $folder; what was there before is back."
        exit 0
    }

    $sums = Join-Path $PSScriptRoot 'SHA256SUMS'
    if (-not (Test-Path -LiteralPath $sums)) { Stop-With "run it from the unpacked archive; $PSScriptRoot is not one." 1 }
    foreach ($line in [IO.File]::ReadAllLines($sums)) {
        $sum, $name = $line -split '  ', 2
        $path = Join-Path $PSScriptRoot $name
        if (-not (Test-Path -LiteralPath $path) -or (Get-Sum $path) -ne $sum) {
            Stop-With "$name differs from SHA256SUMS. Unpack the archive again." 1
        }
    }
    $files = @(Get-ChildItem -LiteralPath (Join-Path $PSScriptRoot 'bin'), (Join-Path $PSScriptRoot 'scripts') -File)
    Assert-Free (@($files | ForEach-Object { $_.Name }) + $oldScripts)
    $null = New-Item -ItemType Directory -Path $backup -Force
    foreach ($name in $oldScripts) {
        $path = Join-Path $folder $name
        if (-not (Test-Path -LiteralPath $path -PathType Leaf)) { continue }
        $saved = Join-Path $backup $name
        if ($installed.Contains($name)) {
            # It was put there again since: the first one stays the one that --uninstall brings back.
            if (-not (Test-Path -LiteralPath $saved) -or (Get-Sum $saved) -ne (Get-Sum $path)) {
                Move-Item -LiteralPath $path -Destination "$path.changed" -Force
            }
        }
        else {
            Copy-Over $path $saved
            $installed[$name] = Get-Sum $path
            Write-List $installed
        }
        if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path -Force }
        Write-Output "moved the old $name aside"
    }
    foreach ($file in $files) {
        $path = Join-Path $folder $file.Name
        $sum = Get-Sum $file.FullName
        if ($installed.Contains($file.Name)) {
            # One that is being installed for the second time after a stop is as it will be.
            if (-not (Test-Path -LiteralPath $path) -or (Get-Sum $path) -ne $sum) { Save-Change $file.Name $installed[$file.Name] }
        }
        elseif (Test-Path -LiteralPath $path) { Copy-Over $path (Join-Path $backup $file.Name) }
        $installed[$file.Name] = $sum
        Write-List $installed
        Copy-Over $file.FullName $path
        # Files of a downloaded archive are marked as coming from the internet, and would not run.
        Unblock-File -LiteralPath $path
    }
    Write-Output "Installed in $folder. What was replaced is in $backup."
    Write-Output 'Next: qc-launch.exe check'
}
catch {
    Stop-With "$($_.Exception.Message) Nothing is half done: run it again." 1
}
