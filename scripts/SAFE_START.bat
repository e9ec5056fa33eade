@echo off
setlocal DisableDelayedExpansion
title SAFE START
rem Shows what runs, asks, stops it with qc-shutdown.exe, then starts with qc-launch.exe.
rem All arguments go to qc-launch.exe; --root, --config and --lock-dir also to the others.
rem --no-pause, or the variable QC_NO_PAUSE, leaves out the pause at the end.

set "HERE=%~dp0"
set ARGS=%*
if defined ARGS set ARGS=%ARGS:"--no-pause"=%
if defined ARGS set ARGS=%ARGS:--no-pause=%
set ROOT=
if exist "%HERE%MASTER_CONFIG.json" set ROOT=--root "%HERE%."
set PLACE=

:scan
if "%~1"=="" goto start
if /i "%~1"=="--no-pause" set QC_NO_PAUSE=1
if "%~1"=="--root" set ROOT=
if "%~1"=="--config" set ROOT=
if "%~1"=="--root" set PLACE=%PLACE% --root %2
if "%~1"=="--config" set PLACE=%PLACE% --config %2
if "%~1"=="--lock-dir" set PLACE=%PLACE% --lock-dir %2
shift
goto scan

:start
echo ======================================================================
echo  SAFE START - stops what runs, then starts the trading automation.
echo  Open trades are NOT closed.
echo ======================================================================
call :find qc-ps.exe PS
if not defined PS goto missing
call :find qc-shutdown.exe SHUTDOWN
if not defined SHUTDOWN goto missing
call :find qc-launch.exe LAUNCH
if not defined LAUNCH goto missing

"%PS%" %ROOT% %PLACE%

echo.
set ANSWER=
set /p "ANSWER=Stop everything that runs and start fresh? Type YES to continue: "
echo.
rem A quote in the answer would break the comparison.
if defined ANSWER set "ANSWER=%ANSWER:"=?%"
if "%ANSWER%"=="YES" goto stop
echo Cancelled. Nothing was stopped or started.
set CODE=4
goto end

:stop
"%SHUTDOWN%" --yes %ROOT% %PLACE%
set CODE=%ERRORLEVEL%
if "%CODE%"=="0" goto launch
>&2 echo Nothing was started, because qc-shutdown ended with exit code %CODE%.
goto end

:launch
"%LAUNCH%" %ROOT% %ARGS%
set CODE=%ERRORLEVEL%
goto end

:find
set "EXE=%1"
set "FOUND=%HERE%%1"
if not exist "%FOUND%" set "FOUND=%HERE%bin\%1"
if not exist "%FOUND%" for %%T in (%1) do set "FOUND=%%~$PATH:T"
set "%2=%FOUND%"
goto :eof

:missing
>&2 echo %EXE% was not found. Looked in:
>&2 echo   "%HERE%"
>&2 echo   "%HERE%bin\"
>&2 echo   the folders of PATH
>&2 echo Put %EXE% beside this script, or add its folder to PATH.
set CODE=127

:end
if not defined QC_NO_PAUSE pause
exit /b %CODE%
