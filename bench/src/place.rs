//! A `writ dev` with a state directory of its own, used as an operator would use it, and judged from outside: by its exit
//! codes, by what answers over HTTP, by `/proc`, and by the logs that launchers and the provider's effects leave behind.

#![expect(clippy::disallowed_methods, reason = "whoever measures reads the clock")]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(5);
/// How long an answer over HTTP may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A state directory and the files that a `dev` over it works from. Everything goes when it is dropped.
#[derive(Debug)]
pub struct Place {
    dir: tempfile::TempDir,
    writ: PathBuf,
}

/// What a command said.
#[derive(Debug, Clone)]
pub struct Said {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// Standard output as JSON; null when it is something else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_default()
    }
}

/// A line of `starts.log`: a process that a launcher became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The slot: `lb`, `i-1`, …
    pub slot: String,
    /// The process.
    pub pid: u32,
}

impl Place {
    /// A place with a copy of the example's files.
    ///
    /// # Errors
    /// When the copy cannot be made.
    pub fn new(writ: &Path) -> io::Result<Self> {
        Self::of(writ, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy-web-001"))
    }

    /// A place with a copy of these files.
    ///
    /// # Errors
    /// When the copy cannot be made.
    pub fn of(writ: &Path, files: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("writ-").tempdir()?;
        copy(files, &dir.path().join("files"))?;
        Ok(Self { dir, writ: writ.to_owned() })
    }

    /// From now on this is the program.
    pub fn upgrade(&mut self, writ: &Path) {
        self.writ = writ.to_owned();
    }

    /// The program.
    #[must_use]
    pub fn writ_path(&self) -> &Path {
        &self.writ
    }

    /// The directory with `intent.yaml` and its neighbours.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.dir.path().join("files")
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A path beside both.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes a text in a file of the example, which must hold it.
    ///
    /// # Errors
    /// When the file cannot be read or written, or does not hold the text.
    pub fn edit(&self, file: &str, from: &str, to: &str) -> io::Result<()> {
        let path = self.files().join(file);
        let text = fs::read_to_string(&path)?;
        if !text.contains(from) {
            return Err(io::Error::other(format!("`{file}` does not hold `{from}`")));
        }
        fs::write(path, text.replace(from, to))
    }

    /// A `writ` command with this place's state directory.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.writ);
        command.args(args).arg("--state").arg(self.state()).current_dir(self.dir.path());
        command.env("WRIT_PINS", self.path("pins"));
        for name in ["WRIT_STATE", "WRIT_SERVER", "WRIT_TOKEN", "WRIT_OUTPUT"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a `writ` command to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn writ(&self, args: &[&str]) -> io::Result<Said> {
        let output = self.command(args).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
    }

    /// Starts a `dev` here; what it says goes to `dev.log`, beginning anew with each.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn dev(&self, args: &[&str]) -> io::Result<Dev> {
        self.dev_with(args, &[])
    }

    /// As [`Place::dev`], with variables in its environment.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn dev_with(&self, args: &[&str], variables: &[(&str, &str)]) -> io::Result<Dev> {
        let files = self.files();
        let mut all = vec!["dev", files.to_str().unwrap_or_default()];
        all.extend(args);
        self.start(&all, variables)
    }

    /// Starts a `writ server` over the same files and state, on a free port.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn server(&self, args: &[&str]) -> io::Result<Dev> {
        let files = self.files();
        let mut all = vec!["server", "--files", files.to_str().unwrap_or_default(), "--listen", "127.0.0.1:0"];
        all.extend(args);
        self.start(&all, &[])
    }

    fn start(&self, args: &[&str], variables: &[(&str, &str)]) -> io::Result<Dev> {
        let log = self.path("dev.log");
        let file = File::create(&log)?;
        let began = Instant::now();
        let mut command = self.command(args);
        command.envs(variables.iter().copied());
        let child = command.stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Dev { began, child, log })
    }

    /// The starts that launchers told, oldest first.
    #[must_use]
    pub fn starts(&self) -> Vec<Start> {
        let start = |line: Value| {
            let pid = u32::try_from(line.get("pid")?.as_u64()?).ok()?;
            Some(Start { slot: line.get("slot")?.as_str()?.to_owned(), pid })
        };
        lines(&self.state().join("world/starts.log")).into_iter().filter_map(start).collect()
    }

    /// Key and resource of each effect that was carried out, oldest first.
    #[must_use]
    pub fn effects(&self) -> Vec<(String, String)> {
        let text = |line: &Value, field: &str| Some(line.get(field)?.as_str()?.to_owned());
        let effect = |line: Value| Some((text(&line, "key")?, text(&line, "resource")?));
        lines(&self.state().join("world/effects.log")).into_iter().filter_map(effect).collect()
    }

    /// The process that each slot started last, if it lives.
    #[must_use]
    pub fn alive(&self) -> BTreeMap<String, u32> {
        let last: BTreeMap<String, u32> = self.starts().into_iter().map(|start| (start.slot, start.pid)).collect();
        let ours = self.processes();
        last.into_iter().filter(|(_, pid)| ours.contains_key(pid)).collect()
    }

    /// Every process that has to do with this state directory, with its command: what `/proc` says.
    #[must_use]
    pub fn processes(&self) -> BTreeMap<u32, String> {
        let state = self.state().display().to_string();
        let mut found = BTreeMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let read = |name: &str| {
                let bytes = fs::read(entry.path().join(name)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).replace('\0', " ")
            };
            let command = read("cmdline");
            // A process that has ended and was not waited for has neither.
            if !command.is_empty() && (command.contains(&state) || read("environ").contains(&state)) {
                found.insert(pid, command);
            }
        }
        found
    }

    /// The address of a slot's newest process, as its launcher wrote it down.
    #[must_use]
    pub fn address(&self, slot: &str) -> Option<SocketAddr> {
        let read = |path: PathBuf| serde_json::from_slice::<Value>(&fs::read(path).ok()?).ok();
        let mut newest: Option<(u64, SocketAddr)> = None;
        for entry in fs::read_dir(self.state().join("world/instances")).ok()?.flatten() {
            let found = || {
                let order = read(entry.path().join("order.json"))?;
                let spawn = read(entry.path().join("spawn.json"))?;
                let address = spawn.get("address")?.as_str()?.parse().ok()?;
                (order.get("slot")?.as_str()? == slot).then_some((spawn.get("attempt")?.as_u64()?, address))
            };
            newest = newest.max(found());
        }
        newest.map(|(_, address)| address)
    }

    /// The balancer's address, as it keeps it for its next start.
    #[must_use]
    pub fn balancer(&self) -> Option<SocketAddr> {
        let path = self.state().join("world/components/web-service-001/balancer/setup.json");
        let setup: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let host = setup.get("host")?.as_str()?.parse().ok()?;
        Some(SocketAddr::new(host, u16::try_from(setup.get("bound")?.as_u64()?).ok()?))
    }

    /// The instances that the balancer itself holds for healthy, each with its generation.
    #[must_use]
    pub fn healthy(&self) -> BTreeMap<String, u64> {
        let socket = self.state().join("world/components/web-service-001/balancer/admin.sock");
        let state = || -> io::Result<Value> {
            let mut stream = UnixStream::connect(&socket)?;
            stream.set_read_timeout(Some(ANSWER_MAX))?;
            write!(stream, "GET /state HTTP/1.1\r\nhost: balancer\r\nconnection: close\r\n\r\n")?;
            Ok(serde_json::from_str(&read_answer(stream)?.1)?)
        };
        // A balancer that does not answer holds nobody for anything.
        let state = state().unwrap_or_default();
        let instances = state.get("instances").and_then(Value::as_object).into_iter().flatten();
        let healthy = instances.filter(|(_, one)| one.get("health").and_then(Value::as_str) == Some("healthy"));
        healthy.filter_map(|(slot, one)| Some((slot.clone(), one.get("generation")?.as_u64()?))).collect()
    }

    /// Asks the running server, as the operator.
    ///
    /// # Errors
    /// When none is announced, or it does not answer with JSON.
    pub fn api(&self, path: &str) -> io::Result<Value> {
        let (address, token) = self.door()?;
        let token = format!("authorization: Bearer {token}\r\n");
        let (_, body) = ask(address, path, &token, ANSWER_MAX)?;
        Ok(serde_json::from_str(&body)?)
    }

    /// A page of the running server's console, as the operator sees it, who logs in the first time.
    ///
    /// # Errors
    /// When none is announced, or it does not answer with a page.
    pub fn page(&self, path: &str) -> io::Result<String> {
        let (address, token) = self.door()?;
        let kept = self.path("session");
        if !kept.exists() {
            let form = format!("token={token}");
            let request = format!(
                "POST /login HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{form}",
                form.len()
            );
            let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
            fs::write(&kept, cookie.ok_or_else(|| io::Error::other("no session was opened"))?)?;
        }
        let cookie = format!("cookie: {}\r\n", fs::read_to_string(&kept)?);
        match ask(address, path, &cookie, ANSWER_MAX)? {
            (200, page) => Ok(page),
            (status, page) => Err(io::Error::other(format!("{path}: {status} {page}"))),
        }
    }

    /// Where the running server listens, and the operator's token.
    ///
    /// # Errors
    /// When none is announced.
    pub fn door(&self) -> io::Result<(SocketAddr, String)> {
        let read = |name: &str| fs::read_to_string(self.state().join(name));
        let announced: Value = serde_json::from_str(&read("server.json")?)?;
        let url = announced.get("url").and_then(Value::as_str).unwrap_or_default();
        let address = url.trim_start_matches("http://").parse().map_err(io::Error::other)?;
        Ok((address, read("tokens/operator")?.trim().to_owned()))
    }

    /// The running incidents and those that ended, oldest first.
    ///
    /// # Errors
    /// As [`Place::api`].
    pub fn list(&self, view: &str) -> io::Result<Vec<Value>> {
        let (mut items, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.api(&format!("/api/v1/{view}?limit=1000{after}"))?;
            items.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            match page.get("next").and_then(Value::as_str) {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(items),
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for pid in self.processes().into_keys() {
            kill(pid, Signal::KILL);
        }
    }
}

/// A running `dev`.
#[derive(Debug)]
pub struct Dev {
    /// When it was started.
    pub began: Instant,
    child: Child,
    log: PathBuf,
}

impl Dev {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said about the scale of time and anything else that the platform file changed for a demonstration.
    #[must_use]
    pub fn profile(&self) -> Vec<String> {
        let said = self.said();
        said.lines().map(str::trim_start).filter(|line| line.starts_with("profile `")).map(str::to_owned).collect()
    }

    /// What it has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it says one of these, and how long that took since its start.
    ///
    /// # Errors
    /// What it said instead, when it ends or takes too long.
    pub fn until(&mut self, any: &[&str], most: Duration) -> Result<Duration, String> {
        loop {
            let ended = self.child.try_wait().ok().flatten();
            let (said, took) = (self.said(), self.began.elapsed());
            if any.iter().any(|text| said.contains(text)) {
                return Ok(took);
            }
            if let Some(status) = ended {
                return Err(format!("it ended with {status} and did not say {any:?}:\n{said}"));
            }
            if took > most {
                return Err(format!("it did not say {any:?} within {most:?}:\n{said}"));
            }
            sleep(LOOK);
        }
    }

    /// Waits until the API answers, from outside. How long that took from the start; none when it took too long.
    #[must_use]
    pub fn until_serving(&self, place: &Place, most: Duration) -> Option<Duration> {
        let address = || {
            let announced = fs::read_to_string(place.state().join("server.json")).ok()?;
            let announced: Value = serde_json::from_str(&announced).ok()?;
            announced.get("url")?.as_str()?.trim_start_matches("http://").parse().ok()
        };
        wait_until(most, || address().is_some_and(|address| matches!(get(address, "/health/live"), Ok((200, _)))))?;
        Some(self.began.elapsed())
    }

    /// Waits until everything that the intent wants stands.
    ///
    /// # Errors
    /// As [`Dev::until`].
    pub fn until_up(&mut self) -> Result<Duration, String> {
        self.until(&["why last, "], Duration::from_secs(30))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal);
    }

    /// Waits until it is killed by a signal, or everything stands: then it is false.
    ///
    /// # Errors
    /// When it ends otherwise, or neither happens in time.
    pub fn until_killed(&mut self) -> Result<bool, String> {
        let up = self.until_up();
        match self.child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.signal() == Some(Signal::KILL.as_raw()) => Ok(true),
            Some(status) => Err(format!("it ended with {status}:\n{}", self.said())),
            None => up.map(|_| false),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Kills it as a crash would, and waits until it is gone.
    pub fn crash(mut self) {
        self.signal(Signal::KILL);
        drop(self.wait());
    }

    /// Ends it in order. The exit code.
    #[must_use]
    pub fn end(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.wait().ok().and_then(|status| status.code())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Sends a signal to a process, which may be gone.
pub fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may be gone already.
        let _ = kill_process(pid, signal);
    }
}

/// Gets a path over HTTP on a connection of its own: status and body.
///
/// # Errors
/// When there is no whole answer in time.
pub fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    ask(address, path, "", ANSWER_MAX)
}

fn ask(address: SocketAddr, path: &str, headers: &str, most: Duration) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, most)?;
    stream.set_read_timeout(Some(most))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}connection: close\r\n\r\n")?;
    read_answer(stream)
}

fn read_answer(mut stream: impl Read) -> io::Result<(u16, String)> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no whole answer"))?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok((status.ok_or_else(|| io::Error::other("no status"))?, body.to_owned()))
}

/// The `writ` to measure: the first argument, or the one beside this program; and the other arguments.
///
/// # Errors
/// When there is no such file.
pub fn program() -> io::Result<(PathBuf, Vec<String>)> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let given = args.first().is_some_and(|arg| arg.contains('/'));
    let writ = if given { PathBuf::from(args.remove(0)) } else { std::env::current_exe()?.with_file_name("writ") };
    if writ.is_file() {
        return Ok((fs::canonicalize(writ)?, args));
    }
    Err(io::Error::other(format!(
        "there is no `{}`; build it with `cargo build --release -p writ-cli`",
        writ.display()
    )))
}

/// Waits until something holds. How long that took; none when it took too long.
pub fn wait_until(most: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > most {
            return None;
        }
        sleep(LOOK);
    }
    Some(began.elapsed())
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
