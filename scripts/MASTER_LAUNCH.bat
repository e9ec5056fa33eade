@echo off
setlocal DisableDelayedExpansion
title MASTER LAUNCH
rem Runs qc-launch.exe with all arguments and returns its exit code. Found here, in bin\ or on PATH.
rem --no-pause, or the variable QC_NO_PAUSE, leaves out the pause at the end.

set "QC__HERE=%~dp0"
set QC__ARGS=%*
if defined QC__ARGS set QC__ARGS=%QC__ARGS:"--no-pause"=%
if defined QC__ARGS set QC__ARGS=%QC__ARGS:--no-pause=%
set QC__ROOT=
if exist "%QC__HERE%MASTER_CONFIG.json" set QC__ROOT=--root "%QC__HERE%."

:scan
if "%~1"=="" goto find
if /i "%~1"=="--no-pause" set QC_NO_PAUSE=1
if "%~1"=="--root" set QC__ROOT=
if "%~1"=="--config" set QC__ROOT=
shift
goto scan

:find
set "QC__TOOL=%QC__HERE%qc-launch.exe"
if not exist "%QC__TOOL%" set "QC__TOOL=%QC__HERE%bin\qc-launch.exe"
if not exist "%QC__TOOL%" for %%T in (qc-launch.exe) do set "QC__TOOL=%%~$PATH:T"

echo ======================================================================
echo  MASTER LAUNCH - starts the trading automation and keeps it running.
echo ======================================================================
if not defined QC__TOOL goto missing
"%QC__TOOL%" %QC__ROOT% %QC__ARGS%
set QC__CODE=%ERRORLEVEL%
goto end

:missing
>&2 echo qc-launch.exe was not found. Looked in:
>&2 echo   "%QC__HERE%"
>&2 echo   "%QC__HERE%bin\"
>&2 echo   the folders of PATH
>&2 echo Put qc-launch.exe beside this script, or add its folder to PATH.
set QC__CODE=127

:end
if not defined QC_NO_PAUSE pause
exit /b %QC__CODE%
