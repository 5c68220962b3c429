//! The sample web service: real work, honest health, and faults to order.
//!
//! Faults answer first and strike a moment later, so that a balancer which tries a broken request again elsewhere does not
//! carry a crash from one instance to the next.

use crate::http::{Listener, serve, told_to_stop};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The most memory a leak takes, whatever it is told: the machine belongs to others too.
const LEAK_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// The longest a processor fault burns.
const BURN_MAX: Duration = Duration::from_secs(300);
/// How long a fault waits before it strikes.
const STRIKE_AFTER: Duration = Duration::from_millis(50);
/// Requests waiting for a core beyond which it answers 503.
const WAITING_MAX: u64 = 512;

/// How one start of the service is set up; everything comes from its environment.
struct Setup {
    address: SocketAddr,
    cores: usize,
    data: Option<PathBuf>,
    memory_bytes: u64,
    name: String,
    work: Duration,
}

struct Sample {
    setup: Setup,
    cores: Arc<Semaphore>,
    waiting: AtomicU64,
    /// Further processor time per request, in microseconds.
    slow_micros: AtomicU64,
    /// Further waiting per request, in milliseconds.
    wait_ms: AtomicU64,
    /// Requests in a hundred that fail.
    error_percent: AtomicU64,
    hung: AtomicBool,
    burning: AtomicBool,
    leak: AtomicBool,
    hoard: Mutex<Vec<Vec<u8>>>,
    served: AtomicU64,
}

/// `sample`: serves on `HOST` and `PORT` until it is told to stop.
#[must_use]
pub fn main(args: Vec<String>) -> ExitCode {
    if let Some(extra) = args.first() {
        eprintln!("error: the sample service takes no arguments, found `{extra}`; it reads HOST and PORT");
        return ExitCode::from(64);
    }
    let setup = match Setup::read(&std::env::vars().collect()) {
        Ok(setup) => setup,
        Err(because) => {
            eprintln!("error: {because}");
            return ExitCode::from(64);
        }
    };
    if setup.marker().is_some_and(|marker| marker.exists()) {
        eprintln!("error: the ordered permanent fault stands: the service dies at each start");
        return ExitCode::from(70);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(64).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(run(setup));
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            ExitCode::from(70)
        }
    }
}

impl Setup {
    fn read(env: &BTreeMap<String, String>) -> Result<Self, String> {
        fn number(env: &BTreeMap<String, String>, name: &str, otherwise: u64) -> Result<u64, String> {
            match env.get(name) {
                None => Ok(otherwise),
                Some(text) => text.parse().map_err(|_| format!("`{name}` is `{text}`; write a whole number")),
            }
        }
        let host = env.get("HOST").map_or(Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)), |text| {
            text.parse().map_err(|_| format!("`HOST` is `{text}`; write an IP address"))
        })?;
        let port = u16::try_from(number(env, "PORT", 8080)?).map_err(|_| "`PORT` is beyond 65535".to_owned())?;
        let millicores = number(env, "WRIT_CPU_MILLICORES", 2_000)?;
        Ok(Self {
            address: SocketAddr::new(host, port),
            cores: usize::try_from(millicores.div_ceil(1_000).clamp(1, 64)).unwrap_or(1),
            data: env.get("WRIT_DATA_DIR").map(PathBuf::from),
            memory_bytes: number(env, "WRIT_MEMORY_BYTES", LEAK_BYTES_MAX)?,
            name: env.get("WRIT_SLOT").cloned().unwrap_or_else(|| "sample".to_owned()),
            work: Duration::from_micros(number(env, "SERVICE_MICROS", 3_000)?.min(10_000_000)),
        })
    }

    fn marker(&self) -> Option<PathBuf> {
        self.data.as_ref().map(|data| data.join("permanent-fault"))
    }
}

async fn run(setup: Setup) -> ExitCode {
    let listener = match TcpListener::bind(setup.address).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("error: cannot listen on {}: {error}", setup.address);
            return ExitCode::from(70);
        }
    };
    let sample = Arc::new(Sample {
        cores: Arc::new(Semaphore::new(setup.cores)),
        setup,
        waiting: AtomicU64::new(0),
        slow_micros: AtomicU64::new(0),
        wait_ms: AtomicU64::new(0),
        error_percent: AtomicU64::new(0),
        hung: AtomicBool::new(false),
        burning: AtomicBool::new(false),
        leak: AtomicBool::new(false),
        hoard: Mutex::new(Vec::new()),
        served: AtomicU64::new(0),
    });
    let service = service_fn(move |request| {
        let sample = sample.clone();
        async move { Ok(sample.answer(request).await) }
    });
    serve(Listener::Tcp(listener), service, told_to_stop()).await;
    ExitCode::SUCCESS
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body + "\n")));
    *response.status_mut() = status;
    response
}

impl Sample {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if self.hung.load(Relaxed) {
            return std::future::pending().await;
        }
        let number = |name: &str, otherwise: u64| {
            let query = request.uri().query().unwrap_or_default();
            let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
            value.and_then(|(_, value)| value.parse().ok()).unwrap_or(otherwise)
        };
        match request.uri().path() {
            "/" => self.work().await,
            "/healthz" => match self.unfit() {
                None => text(StatusCode::OK, "ok".to_owned()),
                Some(because) => text(StatusCode::SERVICE_UNAVAILABLE, because),
            },
            "/trigger_memory" => self.leak(number("mb_per_s", 64)),
            "/trigger_cpu" => self.burn(Duration::from_secs(number("seconds", 120))),
            "/trigger_db_latency" => {
                self.wait_ms.store(number("ms", 400).min(60_000), Relaxed);
                text(StatusCode::OK, "each request now waits for a slow database".to_owned())
            }
            "/trigger_slow" => {
                self.slow_micros.store(number("ms", 40).min(10_000) * 1_000, Relaxed);
                text(StatusCode::OK, "each request now costs more processor time".to_owned())
            }
            "/trigger_errors" => {
                self.error_percent.store(number("percent", 100).min(100), Relaxed);
                text(StatusCode::OK, "requests now fail".to_owned())
            }
            "/trigger_crash" => self.strike("crashes", |_| std::process::abort()),
            "/trigger_hang" => self.strike("hangs", |sample| sample.hung.store(true, Relaxed)),
            "/trigger_permanent" => self.doom(),
            "/trigger_reset" => self.reset(),
            _elsewhere => text(StatusCode::NOT_FOUND, "not found".to_owned()),
        }
    }

    /// Why it cannot serve, in truth.
    fn unfit(&self) -> Option<String> {
        if self.error_percent.load(Relaxed) >= 50 {
            return Some("most requests fail".to_owned());
        }
        let used = resident_bytes()?;
        (used > self.setup.memory_bytes).then(|| format!("{used} bytes resident, {} allowed", self.setup.memory_bytes))
    }

    async fn work(&self) -> Response<Full<Bytes>> {
        let number = self.served.fetch_add(1, Relaxed);
        if number % 100 < self.error_percent.load(Relaxed) {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "the ordered fault: this request fails".to_owned());
        }
        // Waiting for a database holds no core.
        tokio::time::sleep(Duration::from_millis(self.wait_ms.load(Relaxed))).await;
        if self.waiting.fetch_add(1, Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Relaxed);
            return text(StatusCode::SERVICE_UNAVAILABLE, "too many requests wait".to_owned());
        }
        let core = self.cores.clone().acquire_owned().await;
        self.waiting.fetch_sub(1, Relaxed);
        let cost = self.setup.work + Duration::from_micros(self.slow_micros.load(Relaxed));
        match tokio::task::spawn_blocking(move || spend(cost)).await {
            Ok(hash) => {
                drop(core);
                text(StatusCode::OK, format!("{} {hash:016x}", self.setup.name))
            }
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    fn strike(self: Arc<Self>, what: &str, deed: impl FnOnce(&Self) + Send + 'static) -> Response<Full<Bytes>> {
        tokio::spawn(async move {
            tokio::time::sleep(STRIKE_AFTER).await;
            deed(&self);
        });
        text(StatusCode::OK, format!("in {} ms it {what}", STRIKE_AFTER.as_millis()))
    }

    fn doom(self: Arc<Self>) -> Response<Full<Bytes>> {
        let Some(marker) = self.setup.marker() else {
            return text(StatusCode::CONFLICT, "there is no WRIT_DATA_DIR to remember the fault in".to_owned());
        };
        match std::fs::write(&marker, "remove this file to end the fault\n") {
            Ok(()) => self.strike("crashes, and again at each start", |_| std::process::abort()),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    fn leak(self: Arc<Self>, mb_per_s: u64) -> Response<Full<Bytes>> {
        if !self.leak.swap(true, Relaxed) {
            let limit = self.setup.memory_bytes.saturating_mul(2).min(LEAK_BYTES_MAX);
            let chunk = usize::try_from(mb_per_s.clamp(1, 512) * 1024 * 1024 / 20).unwrap_or(1 << 20);
            tokio::spawn(async move {
                while self.leak.load(Relaxed) && resident_bytes().is_some_and(|used| used < limit) {
                    // Not zero, or the kernel would not give it any memory.
                    self.hoard.lock().unwrap_or_else(PoisonError::into_inner).push(vec![0xa5; chunk]);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
        }
        text(StatusCode::OK, "it leaks memory".to_owned())
    }

    fn burn(self: Arc<Self>, span: Duration) -> Response<Full<Bytes>> {
        if !self.burning.swap(true, Relaxed) {
            let (slices, cores) = (span.min(BURN_MAX).as_millis() / 10, self.setup.cores.min(2));
            for _core in 0..cores {
                let sample = self.clone();
                std::thread::spawn(move || {
                    for _slice in 0..slices {
                        if !sample.burning.load(Relaxed) {
                            return;
                        }
                        spend(Duration::from_millis(10));
                    }
                    sample.burning.store(false, Relaxed);
                });
            }
        }
        text(StatusCode::OK, "it burns processor time".to_owned())
    }

    fn reset(&self) -> Response<Full<Bytes>> {
        for fault in [&self.slow_micros, &self.wait_ms, &self.error_percent] {
            fault.store(0, Relaxed);
        }
        self.burning.store(false, Relaxed);
        self.leak.store(false, Relaxed);
        *self.hoard.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
        text(StatusCode::OK, "no fault stands".to_owned())
    }
}

fn resident_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Hashes until this thread has spent so much processor time; waiting for a core does not count.
fn spend(cost: Duration) -> u64 {
    let until = processor_time() + cost;
    let mut hash = DefaultHasher::new();
    let block = [0x5a_u8; 1024];
    while processor_time() < until {
        (0..8).for_each(|_| hash.write(&block));
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_the_processor_time_it_should() {
        let before = processor_time();
        spend(Duration::from_millis(20));
        let spent = processor_time() - before;
        assert!((20..25).contains(&spent.as_millis()), "{spent:?}");
    }

    #[test]
    fn a_setting_that_is_no_number_is_named() {
        let env = BTreeMap::from([("PORT".to_owned(), "eighty".to_owned())]);
        assert_eq!(Setup::read(&env).err().as_deref(), Some("`PORT` is `eighty`; write a whole number"));
    }
}
