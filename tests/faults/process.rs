//! Memory and open files of a process, from `/proc`.

use std::{fmt, fs};

use support::program::Program;

/// The memory and the open files of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Memory in use, in KiB.
    pub(crate) resident: u64,
    /// Peak of the memory in use, in KiB.
    pub(crate) peak: u64,
    /// Number of open files, including sockets.
    pub(crate) open_files: usize,
}

impl Usage {
    /// Returns the current usage of `program`.
    pub(crate) fn of(program: &Program) -> Self {
        let process = format!("/proc/{}", program.child.id());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let kibibytes = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            value.trim().strip_suffix(" kB").unwrap().parse().unwrap()
        };
        let open_files = fs::read_dir(format!("{process}/fd")).unwrap().count();
        Self { resident: kibibytes("VmRSS:"), peak: kibibytes("VmHWM:"), open_files }
    }

    /// Checks that the process never used more than so many MiB.
    #[track_caller]
    pub(crate) fn assert_peak_below(self, mebibytes: u64) {
        assert!(self.peak < mebibytes * 1024, "{self}; at most {mebibytes} MiB are right");
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resident, peak) = (mebibytes(self.resident), mebibytes(self.peak));
        write!(formatter, "{peak:.0} MiB at most, {resident:.0} MiB now, ")?;
        write!(formatter, "{} open files", self.open_files)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for printing")]
fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
