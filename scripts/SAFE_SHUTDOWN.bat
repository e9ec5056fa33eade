@echo off
setlocal DisableDelayedExpansion
title SAFE SHUTDOWN
rem Runs qc-shutdown.exe with all arguments and returns its exit code. Found here, in bin\ or on PATH.
rem --no-pause, or the variable QC_NO_PAUSE, leaves out the pause at the end.

set "HERE=%~dp0"
set ARGS=%*
if defined ARGS set ARGS=%ARGS:"--no-pause"=%
if defined ARGS set ARGS=%ARGS:--no-pause=%
set ROOT=
if exist "%HERE%MASTER_CONFIG.json" set ROOT=--root "%HERE%."

:scan
if "%~1"=="" goto find
if /i "%~1"=="--no-pause" set QC_NO_PAUSE=1
if "%~1"=="--root" set ROOT=
if "%~1"=="--config" set ROOT=
shift
goto scan

:find
set "TOOL=%HERE%qc-shutdown.exe"
if not exist "%TOOL%" set "TOOL=%HERE%bin\qc-shutdown.exe"
if not exist "%TOOL%" for %%T in (qc-shutdown.exe) do set "TOOL=%%~$PATH:T"

echo ======================================================================
echo  SAFE SHUTDOWN - stops the trading automation. Open trades are NOT closed.
echo ======================================================================
if not defined TOOL goto missing
"%TOOL%" %ROOT% %ARGS%
set CODE=%ERRORLEVEL%
goto end

:missing
>&2 echo qc-shutdown.exe was not found. Looked in:
>&2 echo   "%HERE%"
>&2 echo   "%HERE%bin\"
>&2 echo   the folders of PATH
>&2 echo Put qc-shutdown.exe beside this script, or add its folder to PATH.
set CODE=127

:end
if not defined QC_NO_PAUSE pause
exit /b %CODE%
