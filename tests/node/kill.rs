//! A replica that is killed while pods are created: some creations fail, because the API server does not retry.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    Part, Step, eventually,
    node::Node,
    pods::{condition, name, uid},
    stream::Stream,
};

pub(crate) const STEPS: &[Step] =
    &[("few creations fail when a replica is killed", kill, Part::Full)];

/// Number of replicas that are killed, one after the other.
const KILLS: usize = 4;

/// Maximum time after a kill in which creations fail. The kubelet looks at its containers once a second, and kube-proxy
/// needs a moment.
const MAX_WINDOW: Duration = Duration::from_secs(5);

fn kill(node: &Node) {
    for number in 0..KILLS {
        let replicas = node.await_replicas(2);
        let replica = &replicas[number % 2];
        let restarts = restarts(replica);
        let stream = Stream::start(node, "kill");
        let killed = Instant::now();
        let at = stream.elapsed();
        let process = process(uid(replica));
        assert!(Command::new("kill").args(["-KILL", &process]).status().unwrap().success());
        eventually("the replica to start again", || {
            let path = format!("/api/v1/namespaces/imageswap-system/pods/{}", name(replica));
            let pod = node.api().get(&path).ok_or("it is gone")?;
            if self::restarts(&pod) > restarts && condition(&pod, "Ready") {
                Ok(())
            } else {
                Err("not yet")
            }
        });
        let restarted = killed.elapsed();
        let failures = stream.end_with_failures().failures;
        let window = failures.iter().map(|(time, _)| time.saturating_sub(at)).max();
        let window = window.unwrap_or_default();
        eprintln!(
            "      kill {number}: {} creations failed, the last one {} ms after the kill; the replica is ready after \
             {} ms",
            failures.len(),
            window.as_millis(),
            restarted.as_millis(),
        );
        assert!(window < MAX_WINDOW, "{failures:#?}");
    }
}

/// Returns how often the container of a pod has been restarted.
fn restarts(pod: &serde_json::Value) -> u64 {
    pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap()
}

/// Returns the identifier of the process of a replica. The cgroup of a process names its pod.
fn process(pod: &str) -> String {
    let found = fs::read_dir("/proc").unwrap().find_map(|process| {
        let process = process.unwrap();
        let read = |file: &str| fs::read_to_string(process.path().join(file)).unwrap_or_default();
        let is_replica = read("comm").trim() == "imageswap" && read("cgroup").contains(pod);
        is_replica.then(|| process.file_name().into_string().unwrap())
    });
    found.unwrap_or_else(|| panic!("no process of the pod {pod}"))
}
