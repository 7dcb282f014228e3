//! Tries a target on random inputs, without libFuzzer: the same ones for the same seed.
//!
//! It has no feedback from the code that runs, so it finds less than libFuzzer in the same time. It
//! is for machines without a nightly toolchain, and for a gate that has to come out the same each
//! time.

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

/// An input that takes longer hangs; the slowest take some milliseconds.
const MAX_EXECUTION: Duration = Duration::from_secs(20);

/// How many executions pass between two looks at the clock.
const EXECUTIONS_PER_LOOK: u64 = 64;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The most executions.
    pub executions: u64,
    /// The longest time.
    pub time: Duration,
    /// What the random inputs come from.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many inputs were tried.
    pub executions: u64,
    /// How long it took.
    pub time: Duration,
    /// The file with the input that failed, if one did.
    pub failure: Option<PathBuf>,
}

/// Tries a target: first each input to begin with, then random ones. Ends at the first that fails.
///
/// # Errors
/// When the directory of inputs cannot be read, or a failing input cannot be written.
pub fn drive(target: &Target, plan: Plan) -> io::Result<Report> {
    let seeds = corpus(target)?;
    let start = Instant::now();
    let watch = Watch::over(target);
    let mut executions = 0;
    let mut failed = None;
    while executions < plan.executions && failed.is_none() {
        if executions % EXECUTIONS_PER_LOOK == 0 && start.elapsed() >= plan.time {
            break;
        }
        let input = match usize::try_from(executions).ok().and_then(|n| seeds.get(n)) {
            Some(seed) => seed.clone(),
            None => mutation::input(target, &seeds, &mut Random::of(plan.seed, executions)),
        };
        watch.begin(&input);
        if !holds(target, &input) {
            failed = Some(input);
        }
        executions += 1;
    }
    let time = start.elapsed();
    watch.end();
    let failure = failed.map(|input| keep(target, &input)).transpose()?;
    Ok(Report { executions, time, failure })
}

/// Whether a target takes an input without a panic, which has been printed otherwise.
#[must_use]
pub fn holds(target: &Target, input: &[u8]) -> bool {
    catch_unwind(|| (target.run)(input)).is_ok()
}

/// The inputs to begin with: those made of what the repository has, and those in `seeds`.
///
/// # Errors
/// When the directory cannot be read.
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

/// The dictionary of a target as libFuzzer reads it.
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

/// Writes an input that failed to where libFuzzer would.
fn keep(target: &Target, input: &[u8]) -> io::Result<PathBuf> {
    let directory = directory("artifacts").join(target.name);
    fs::create_dir_all(&directory)?;
    // FNV-1a: the same input has the same name.
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let file = directory.join(format!("crash-{hash:016x}"));
    fs::write(&file, input)?;
    Ok(file)
}

/// Ends the process when an input takes too long.
struct Watch {
    current: Arc<Mutex<(Instant, Vec<u8>)>>,
    is_over: Arc<AtomicBool>,
    watcher: JoinHandle<()>,
}

impl Watch {
    fn over(target: &Target) -> Self {
        let current = Arc::new(Mutex::new((Instant::now(), Vec::new())));
        let is_over = Arc::new(AtomicBool::new(false));
        let (shared, end, target) = (Arc::clone(&current), Arc::clone(&is_over), *target);
        let watcher = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                thread::park_timeout(MAX_EXECUTION / 10);
                let (start, input) = &*shared.lock().unwrap_or_else(PoisonError::into_inner);
                if start.elapsed() > MAX_EXECUTION && !end.load(Ordering::Relaxed) {
                    let kept = keep(&target, input);
                    end_process(&format!("{}: hangs on {kept:?}", target.name));
                }
            }
        });
        Self { current, is_over, watcher }
    }

    fn begin(&self, input: &[u8]) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.0 = Instant::now();
        current.1.clear();
        current.1.extend_from_slice(input);
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.watcher.thread().unpark();
        // The watcher has nothing to tell.
        let _ = self.watcher.join();
    }
}

/// Ends the process: a thread that hangs cannot be ended alone.
#[expect(clippy::print_stderr, reason = "these are the process's last words")]
fn end_process(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(1)
}
