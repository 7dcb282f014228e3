//! Many maps of namespaces.

use std::{fmt::Write, fs, path::Path};

use serde_json::Value;
use support::{
    program::Program,
    server::{await_ready, metric},
    wait::eventually,
};

use crate::{alone, process::Usage, report, scaled};

/// Number of rules of each map.
const RULES: usize = 100;

/// Maximum memory that each map may add, in KiB.
const MEMORY: usize = 64;

/// Returns a map in which each kind of rule occurs.
fn map(host: &str) -> String {
    let mut map = format!("default::{host}\nnoswap_wildcards::internal, local\n");
    for number in 2..RULES {
        let line = match number % 4 {
            0 => format!("[EXACT]docker.io/team/image{number}:1::{host}/image{number}:2"),
            1 => format!("registry{number}.example.com::{host}/registry{number}"),
            2 => format!("docker.io/organization{number}::{host}/organization{number}"),
            _ => format!("[REPLACE]quay.io/glob{number}/*::{host}/glob{number}"),
        };
        writeln!(map, "{line}").unwrap();
    }
    map
}

/// Starts the program with the maps of a directory, and waits until it has loaded `count` maps.
async fn serving(directory: &Path, count: usize) -> Program {
    let file = directory.parent().unwrap().join("maps.conf");
    fs::write(&file, "default::cluster.example.com").unwrap();
    let [file, maps] = [&*file, directory].map(|path| path.to_str().unwrap());
    let program = Program::start(&[
        "--maps",
        file,
        "--namespace-maps-dir",
        maps,
        "--tls-mode",
        "self-signed",
    ]);
    await_ready(program.admin_address).await;
    eventually("all maps", async || (loaded(&program, None) == count).then_some(())).await;
    program
}

/// Returns how often maps were compiled: all, or that of a namespace.
fn loaded(program: &Program, namespace: Option<&str>) -> usize {
    let is_load = |line: &&Value| {
        line["message"] == "namespace map loaded"
            && namespace.is_none_or(|namespace| line["namespace"] == namespace)
    };
    program.lines().iter().filter(is_load).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_maps_of_namespaces_take_little_memory_and_are_compiled_one_by_one() {
    let _alone = alone().await;
    let namespaces = scaled(200, 1000);
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("maps");
    fs::create_dir(&directory).unwrap();
    let before = Usage::of(&serving(&directory, 0).await);
    for number in 0..namespaces {
        let text = map(&format!("mirror{number}.example.com"));
        fs::write(directory.join(format!("team-{number}.conf")), text).unwrap();
    }
    let program = serving(&directory, namespaces).await;
    let after = Usage::of(&program);
    report("maps of namespaces", format_args!("without: {before}, with {namespaces}: {after}"));
    let most = before.resident + u64::try_from(namespaces * MEMORY).unwrap();
    assert!(after.resident < most, "{before}, then {after}");
    fs::write(directory.join(".new"), map("other.example.com")).unwrap();
    fs::rename(directory.join(".new"), directory.join("team-7.conf")).unwrap();
    eventually("the changed map", async || (loaded(&program, Some("team-7")) == 2).then_some(()))
        .await;
    fs::remove_file(directory.join("team-8.conf")).unwrap();
    eventually("one map less", async || {
        let series = "imageswap_namespace_maps{state=\"in-use\"}";
        let maps = metric(program.admin_address, series).await?;
        #[expect(clippy::cast_precision_loss, reason = "it is a small number")]
        let expected = (namespaces - 1) as f64;
        ((maps - expected).abs() < f64::EPSILON).then_some(())
    })
    .await;
    assert_eq!(loaded(&program, None), namespaces + 1);
}
