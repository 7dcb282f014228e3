//! Colors of the help, of `check` and of the log.

use std::{fs::File, io::Read, os::fd::OwnedFd, sync::mpsc, thread};

use rustix::{
    pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::{
    DEADLINE, Invocation, Workspace,
    api_server::ApiServer,
    plan_cluster::{cluster, list, pod},
};

const ESCAPE: char = '\u{1b}';

/// Variables, colors on a terminal, and colors in a file.
type Case = (&'static [(&'static str, &'static str)], bool, bool);

const CASES: [Case; 10] = [
    (&[("TERM", "xterm")], true, false),
    (&[("TERM", "xterm"), ("NO_COLOR", "1")], false, false),
    (&[("TERM", "xterm"), ("NO_COLOR", "")], true, false),
    (&[("TERM", "dumb")], false, false),
    (&[], false, false),
    (&[("TERM", "xterm"), ("CLICOLOR", "0")], false, false),
    (&[("TERM", "xterm"), ("CLICOLOR_FORCE", "1")], true, true),
    (&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true, true),
    (&[("TERM", "xterm"), ("CLICOLOR_FORCE", "")], true, false),
    (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false, false),
];

/// Runs the program with standard output and standard error on a terminal, and returns the output.
fn on_terminal(invocation: Invocation) -> String {
    on_terminal_of(0, invocation)
}

/// Runs the program like [`on_terminal`], with this number of columns. 0 is a terminal without a known width.
fn on_terminal_of(columns: u16, Invocation(mut command): Invocation) -> String {
    let terminal: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize { ws_row: 0, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let program_side = ioctl_tiocgptpeer(&terminal, flags).unwrap();
    command.stdout(program_side.try_clone().unwrap()).stderr(program_side);
    let mut child = command.spawn().unwrap();
    // Reading ends as soon as the other side is closed everywhere, so this process must not keep it open.
    drop(command);
    let (sender, output) = mpsc::channel();
    thread::spawn(move || {
        let (mut terminal, mut output) = (File::from(terminal), Vec::new());
        // Reading ends with an error (EIO). By then `output` contains everything that was written.
        let _ = terminal.read_to_end(&mut output);
        sender.send(output)
    });
    let output = output.recv_timeout(DEADLINE);
    if output.is_err() {
        child.kill().unwrap();
    }
    child.wait().unwrap();
    String::from_utf8(output.unwrap()).unwrap()
}

#[test]
fn help_check_and_log_follow_the_same_variables() {
    let workspace = Workspace::new(&[("map", "broken\n")]);
    for (variables, is_colored, is_colored_in_file) in CASES {
        for arguments in [
            &["--help"][..],
            &["check", "map"],
            // Without a cluster it exits after a few lines.
            &["init", "--log-format", "text", "--maps", "map"],
        ] {
            let invocation = || {
                let mut invocation = workspace.imageswap(arguments).variable("KUBECONFIG", "none");
                for (name, value) in variables {
                    invocation = invocation.variable(name, value);
                }
                invocation
            };
            let output = on_terminal(invocation());
            assert!(output.len() > 50, "{arguments:?}: {output}");
            let found = output.contains(ESCAPE);
            assert_eq!(found, is_colored, "{arguments:?} with {variables:?} on a terminal");
            let run = invocation().run();
            let found = [run.stdout, run.stderr].concat().contains(ESCAPE);
            assert_eq!(found, is_colored_in_file, "{arguments:?} with {variables:?} in a file");
        }
    }
}

#[test]
fn json_has_no_colors() {
    let workspace = Workspace::new(&[("map", "default::d.io\nbroken\n")]);
    for arguments in [
        &["check", "--output", "json", "map"][..],
        &["init", "--log-format", "json", "--maps", "map"],
        &["swap", "--output", "json", "--maps", "map", "nginx"],
    ] {
        let invocation = workspace.imageswap(arguments).variable("KUBECONFIG", "none");
        let output = on_terminal(invocation.variable("CLICOLOR_FORCE", "1"));
        assert!(output.contains("{\""), "{output}");
        assert!(!output.contains(ESCAPE), "{output}");
    }
}

#[test]
fn the_table_of_plan_has_colors_and_fits_the_terminal() {
    let image = format!("nginx@sha256:{}", "0".repeat(64));
    let server = ApiServer::start(cluster(vec![list(&[pod("a", &image)], "")]));
    let config = server.kubeconfig();
    let workspace = Workspace::new(&[("map", "default::d.io\n"), ("kubeconfig", &config)]);
    let run = |columns, variables: &[(&str, &str)]| {
        let arguments = ["plan", "--maps", "map", "--kubeconfig", "kubeconfig"];
        let mut invocation = workspace.imageswap(&arguments);
        for (name, value) in variables {
            invocation = invocation.variable(name, value);
        }
        on_terminal_of(columns, invocation).replace("\r\n", "\n")
    };
    let green =
        format!("\u{1b}[32m{image}  d.io/{image}     1  shop        map:1 default\u{1b}[0m\n");
    for columns in [0, 300] {
        let printed = run(columns, &[("TERM", "xterm")]);
        assert!(printed.contains(&green), "{printed:?}");
    }
    let plain = run(300, &[("TERM", "xterm"), ("NO_COLOR", "1")]);
    assert!(plain.contains("IMAGE ") && !plain.contains(ESCAPE), "{plain:?}");
    // The image is longer than the line, and is not cut.
    let narrow = run(60, &[("TERM", "dumb")]);
    let paragraph = format!("\n{image}\n  becomes     d.io/{image}\n  pods        1\n");
    assert!(narrow.contains(&paragraph) && !narrow.contains("IMAGE "), "{narrow:?}");
}
