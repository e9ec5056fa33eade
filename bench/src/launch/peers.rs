//! The supervisors, and how each is told to keep many children.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{compile, python_with, release, version};

/// The peers, by the names under which they are asked for.
pub(super) const PEERS: [&str; 4] = ["supervisord", "circus", "s6", "runit"];

/// One supervisor.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) version: Option<String>,
    /// The signal that stops it in order, unless it is SIGTERM.
    pub(super) stop_signal: Option<&'static str>,
    kind: Kind,
}

enum Kind {
    C(PathBuf),
    QcLaunch(PathBuf),
    Supervisord(PathBuf),
    Circus(PathBuf),
    /// A folder for each child with a script `run` in it.
    Scanned(&'static str),
}

/// The programs to keep running.
pub(super) struct Scene<'a> {
    pub(super) dir: &'a Path,
    pub(super) child: &'a Path,
    pub(super) fifo: &'a Path,
    pub(super) count: usize,
}

impl Peer {
    pub(super) fn c(dir: &Path) -> Result<Self> {
        let kind = Kind::C(compile("launch.c", dir, &[])?);
        Ok(Self { name: "C", version: version("cc", &["--version"]), stop_signal: None, kind })
    }

    pub(super) fn qc_launch() -> Result<Self> {
        Ok(Self::qc_launch_at(release("qc-launch")?))
    }

    pub(super) fn qc_launch_at(program: PathBuf) -> Self {
        let version = version("rustc", &["--version"]);
        Self { name: "`qc-launch`", version, stop_signal: None, kind: Kind::QcLaunch(program) }
    }

    /// Finds one of [`PEERS`], or installs it where that needs no more than a folder.
    pub(super) fn find(name: &str, dir: &Path) -> Result<Self> {
        let in_environment = |package, program| -> Result<PathBuf> {
            Ok(python_with(dir, package)?.with_file_name(program))
        };
        let plain = |name, version, kind| Self { name, version, stop_signal: None, kind };
        Ok(match name {
            "supervisord" => {
                let program = in_environment("supervisor", "supervisord")?;
                let number = version(&program.to_string_lossy(), &["--version"]);
                let number = number.map(|number| format!("supervisord {number}"));
                plain("supervisord", number, Kind::Supervisord(program))
            }
            "circus" => {
                let program = in_environment("circus", "circusd")?;
                let number = version(&program.to_string_lossy(), &["--version"]);
                let number = number.map(|number| format!("circus {number}"));
                plain("circus", number, Kind::Circus(program))
            }
            "s6" => plain("s6", Some(of_package("s6")?), Kind::Scanned("s6-svscan")),
            "runit" => Self {
                stop_signal: Some("-HUP"),
                ..plain("runit", Some(of_package("runit")?), Kind::Scanned("runsvdir"))
            },
            other => bail!("there is no peer `{other}`; the peers are {}", PEERS.join(", ")),
        })
    }

    /// Writes what it reads; returns how to start it.
    pub(super) fn lay_out(&self, scene: &Scene<'_>) -> Result<Command> {
        let logs = scene.dir.join("logs");
        fs::create_dir(&logs)?;
        match &self.kind {
            Kind::C(program) => {
                let mut command = Command::new(program);
                command.arg(scene.count.to_string()).arg(&logs).args([scene.child, scene.fifo]);
                Ok(command)
            }
            Kind::QcLaunch(program) => {
                fs::write(scene.dir.join("MASTER_CONFIG.json"), scene.config())?;
                let mut command = Command::new(program);
                command.current_dir(scene.dir).env_remove("QC_ROOT").env_remove("QC_LOCK_DIR");
                Ok(command)
            }
            Kind::Supervisord(program) => {
                let head = format!(
                    "[supervisord]\nnodaemon=true\nminfds=8192\nlogfile={0}/supervisord.log\npidfile={0}/pid\n",
                    scene.dir.display()
                );
                let path = scene.ini(&logs, &head, |name, command, log| {
                    format!(
                        "[program:{name}]\ncommand={command}\nstartsecs=0\nautorestart=true\nredirect_stderr=true\nstdout_logfile={log}\n"
                    )
                })?;
                let mut command = Command::new(program);
                command.arg("-c").arg(path);
                Ok(command)
            }
            Kind::Circus(program) => {
                let head = format!(
                    "[circus]\nendpoint=ipc://{0}/e\npubsub_endpoint=ipc://{0}/p\n",
                    scene.dir.display()
                );
                let path = scene.ini(&logs, &head, |name, command, log| {
                    format!(
                        "[watcher:{name}]\ncmd={command}\nstdout_stream.class=FileStream\nstdout_stream.filename={log}\n"
                    )
                })?;
                let mut command = Command::new(program);
                command.arg(path);
                Ok(command)
            }
            Kind::Scanned(program) => {
                let services = scene.scripts(&logs)?;
                let mut command = Command::new(program);
                if *program == "s6-svscan" {
                    command.args(["-c", "2000"]);
                }
                command.arg(services);
                Ok(command)
            }
        }
    }
}

impl Scene<'_> {
    fn names(&self) -> impl Iterator<Item = String> {
        (0..self.count).map(|number| format!("child{number:04}"))
    }

    fn command(&self) -> String {
        format!("{} {}", self.child.display(), self.fifo.display())
    }

    fn config(&self) -> String {
        let component = json!({"command": [self.child, self.fifo]});
        let components: serde_json::Map<_, _> =
            self.names().map(|name| (name, component.clone())).collect();
        let restart = json!({"max_restarts": 1_000_000, "cooldown": 0});
        let section = json!({"server": {"enabled": false}, "defaults": {"restart": restart}, "components": components});
        json!({"ACCOUNTS": {}, "PROCESS_MANAGER": section}).to_string()
    }

    /// Writes `head` and a section for each child, made of its name, its command and its log.
    fn ini(
        &self,
        logs: &Path,
        head: &str,
        section: impl Fn(&str, &str, &str) -> String,
    ) -> Result<PathBuf> {
        let command = self.command();
        let sections = self.names().map(|name| {
            let log = logs.join(format!("{name}.log"));
            section(&name, &command, &log.to_string_lossy())
        });
        let path = self.dir.join("supervisor.ini");
        fs::write(&path, [head.to_owned()].into_iter().chain(sections).collect::<String>())?;
        Ok(path)
    }

    /// Writes a folder for each child with a script `run` in it.
    fn scripts(&self, logs: &Path) -> Result<PathBuf> {
        let services = self.dir.join("services");
        for name in self.names() {
            let service = services.join(&name);
            fs::create_dir_all(&service)?;
            let log = logs.join(&name);
            let text = format!("#!/bin/sh\nexec {} >>{} 2>&1\n", self.command(), log.display());
            let run = service.join("run");
            fs::write(&run, text)?;
            fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
        }
        Ok(services)
    }
}

/// Says which Debian package is installed.
fn of_package(package: &str) -> Result<String> {
    let number = version("dpkg-query", &["-W", "-f", "${Version}", package]);
    let number =
        number.with_context(|| format!("it is not installed; `apt-get install {package}`"))?;
    Ok(format!("{package} {number}"))
}
