@echo off
setlocal DisableDelayedExpansion
title SAFE START
rem Shows what runs, asks, stops it with qc-shutdown.exe, then starts with qc-launch.exe.
rem All arguments go to qc-launch.exe; --root, --config and --lock-dir also to the others.
rem --no-pause, or the variable QC_NO_PAUSE, leaves out the pause at the end.

set "QC__HERE=%~dp0"
set QC__ARGS=%*
if defined QC__ARGS set QC__ARGS=%QC__ARGS:"--no-pause"=%
if defined QC__ARGS set QC__ARGS=%QC__ARGS:--no-pause=%
set QC__ROOT=
if exist "%QC__HERE%MASTER_CONFIG.json" set QC__ROOT=--root "%QC__HERE%."
set QC__PLACE=

:scan
if "%~1"=="" goto start
if /i "%~1"=="--no-pause" set QC_NO_PAUSE=1
if "%~1"=="--root" set QC__ROOT=
if "%~1"=="--config" set QC__ROOT=
if "%~1"=="--root" set QC__PLACE=%QC__PLACE% --root %2
if "%~1"=="--config" set QC__PLACE=%QC__PLACE% --config %2
if "%~1"=="--lock-dir" set QC__PLACE=%QC__PLACE% --lock-dir %2
shift
goto scan

:start
echo ======================================================================
echo  SAFE START - stops what runs, then starts the trading automation.
echo  Open trades are NOT closed.
echo ======================================================================
call :find qc-ps.exe QC__PS
if not defined QC__PS goto missing
call :find qc-shutdown.exe QC__SHUTDOWN
if not defined QC__SHUTDOWN goto missing
call :find qc-launch.exe QC__LAUNCH
if not defined QC__LAUNCH goto missing

"%QC__PS%" %QC__ROOT% %QC__PLACE%

echo.
set QC__ANSWER=
set /p "QC__ANSWER=Stop everything that runs and start fresh? Type YES to continue: "
echo.
rem A quote in the answer would break the comparison.
if defined QC__ANSWER set "QC__ANSWER=%QC__ANSWER:"=?%"
if "%QC__ANSWER%"=="YES" goto stop
echo Cancelled. Nothing was stopped or started.
set QC__CODE=4
goto end

:stop
"%QC__SHUTDOWN%" --yes %QC__ROOT% %QC__PLACE%
set QC__CODE=%ERRORLEVEL%
if "%QC__CODE%"=="0" goto launch
>&2 echo Nothing was started, because qc-shutdown ended with exit code %QC__CODE%.
goto end

:launch
"%QC__LAUNCH%" %QC__ROOT% %QC__ARGS%
set QC__CODE=%ERRORLEVEL%
goto end

:find
set "QC__EXE=%1"
set "QC__FOUND=%QC__HERE%%1"
if not exist "%QC__FOUND%" set "QC__FOUND=%QC__HERE%bin\%1"
if not exist "%QC__FOUND%" for %%T in (%1) do set "QC__FOUND=%%~$PATH:T"
set "%2=%QC__FOUND%"
goto :eof

:missing
>&2 echo %QC__EXE% was not found. Looked in:
>&2 echo   "%QC__HERE%"
>&2 echo   "%QC__HERE%bin\"
>&2 echo   the folders of PATH
>&2 echo Put %QC__EXE% beside this script, or add its folder to PATH.
set QC__CODE=127

:end
if not defined QC_NO_PAUSE pause
exit /b %QC__CODE%
