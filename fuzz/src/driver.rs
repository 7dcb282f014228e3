//! Runs a target on random inputs without libFuzzer, with the same inputs for the same seed.
//!
//! The driver has no coverage feedback, so it finds less than libFuzzer in the same time. It is for machines without a
//! nightly toolchain, and for a gate that must be reproducible.

use std::{
    fmt::Write,
    fs, io,
    panic::catch_unwind,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    Target,
    mutation::{self, Random},
};

/// Timeout for an execution, after which the input counts as hanging. The slowest inputs take some milliseconds.
const MAX_EXECUTION: Duration = Duration::from_secs(20);

/// Number of executions between two reads of the clock.
const EXECUTIONS_PER_CLOCK_READ: u64 = 64;

/// The extent of a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Maximum number of executions.
    pub executions: u64,
    /// Maximum duration.
    pub time: Duration,
    /// Seed of the random inputs.
    pub seed: u64,
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Number of executed inputs.
    pub executions: u64,
    /// Duration of the run.
    pub time: Duration,
    /// The file with the input that failed; `None` if none failed.
    pub failure: Option<PathBuf>,
}

/// Runs a target on each seed input, then on random inputs. Stops at the first failure.
///
/// # Errors
/// If the directory of inputs cannot be read, or a failing input cannot be written.
pub fn drive(target: &Target, plan: Plan) -> io::Result<Report> {
    let seeds = corpus(target)?;
    let start = Instant::now();
    let watchdog = Watchdog::start(target);
    let mut executions = 0;
    let mut failed = None;
    while executions < plan.executions && failed.is_none() {
        if executions % EXECUTIONS_PER_CLOCK_READ == 0 && start.elapsed() >= plan.time {
            break;
        }
        let input = match usize::try_from(executions).ok().and_then(|n| seeds.get(n)) {
            Some(seed) => seed.clone(),
            None => mutation::input(target, &seeds, &mut Random::of(plan.seed, executions)),
        };
        watchdog.begin(&input);
        if !holds(target, &input) {
            failed = Some(input);
        }
        executions += 1;
    }
    let time = start.elapsed();
    watchdog.stop();
    let failure = failed.map(|input| save(target, &input)).transpose()?;
    Ok(Report { executions, time, failure })
}

/// Returns true if a target runs an input without a panic. Rust prints a panic.
#[must_use]
pub fn holds(target: &Target, input: &[u8]) -> bool {
    catch_unwind(|| (target.run)(input)).is_ok()
}

/// Returns the seed inputs: those made from test data, and the files in `seeds`.
///
/// # Errors
/// If the directory cannot be read.
pub fn corpus(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let directory = directory("seeds").join(target.name);
    let mut files = match fs::read_dir(&directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    files.sort_unstable();
    let mut inputs = (target.seeds)();
    for file in files {
        inputs.push(fs::read(file)?);
    }
    Ok(inputs)
}

/// Returns the dictionary of a target in the format of libFuzzer.
#[must_use]
pub fn dictionary(target: &Target) -> String {
    let mut dictionary = String::new();
    for word in target.dictionary.iter().filter(|word| !word.is_empty()) {
        dictionary.push('"');
        for byte in word.bytes() {
            // Writing to a string cannot fail.
            let _ = write!(dictionary, "\\x{byte:02x}");
        }
        dictionary.push_str("\"\n");
    }
    dictionary
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Writes a failing input to the directory that libFuzzer uses too.
fn save(target: &Target, input: &[u8]) -> io::Result<PathBuf> {
    let directory = directory("artifacts").join(target.name);
    fs::create_dir_all(&directory)?;
    // FNV-1a, so that the same input has the same name.
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let file = directory.join(format!("crash-{hash:016x}"));
    fs::write(&file, input)?;
    Ok(file)
}

/// Ends the process if an input takes too long.
struct Watchdog {
    current: Arc<Mutex<(Instant, Vec<u8>)>>,
    is_stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    fn start(target: &Target) -> Self {
        let current = Arc::new(Mutex::new((Instant::now(), Vec::new())));
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (shared, end, target) = (Arc::clone(&current), Arc::clone(&is_stopped), *target);
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                thread::park_timeout(MAX_EXECUTION / 10);
                let (start, input) = &*shared.lock().unwrap_or_else(PoisonError::into_inner);
                if start.elapsed() > MAX_EXECUTION && !end.load(Ordering::Relaxed) {
                    let saved = save(&target, input);
                    end_process(&format!("{}: hangs on {saved:?}", target.name));
                }
            }
        });
        Self { current, is_stopped, thread }
    }

    fn begin(&self, input: &[u8]) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.0 = Instant::now();
        current.1.clear();
        current.1.extend_from_slice(input);
    }

    fn stop(self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        // The thread returns nothing.
        let _ = self.thread.join();
    }
}

/// Ends the process, because a single thread that hangs cannot be ended.
#[expect(clippy::print_stderr, reason = "the process ends here")]
fn end_process(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(1)
}
