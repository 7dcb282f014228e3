//! A replica that is killed while pods are created: some creations fail, because the API server does not retry.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Part, Step, eventually,
    node::Node,
    pods::{condition, name, uid},
    print_time,
    stream::Stream,
};

/// The pods of the webhook.
const PODS: &str = "/api/v1/namespaces/imageswap-system/pods";

/// Metric that counts the reviews of the stream that a replica has answered.
const REVIEWS: &str =
    "imageswap_admission_reviews_total{kind=\"Pod\",operation=\"CREATE\",outcome=\"swapped\"}";

pub(crate) const STEPS: &[Step] =
    &[("few creations fail when a replica is killed", kill, Part::Full)];

/// Number of replicas that are killed, one after the other.
const KILLS: usize = 4;

/// Maximum time after a kill in which creations fail. The kubelet looks at its containers once a second, and kube-proxy
/// needs a moment.
const MAX_WINDOW: Duration = Duration::from_secs(5);

fn kill(node: &Node) {
    for number in 1..=KILLS {
        let replicas = node.await_replicas(2);
        let stream = Stream::start(node, "kill");
        let replica = busiest(node, &replicas, &stream);
        let process = process(uid(replica));
        let at = stream.elapsed();
        let killed = Instant::now();
        assert!(Command::new("kill").args(["-KILL", &process]).status().unwrap().success());
        eventually("the replica to start again", || {
            let pod = node.api().get(&format!("{PODS}/{}", name(replica))).ok_or("it is gone")?;
            let is_new = restarts(&pod) > restarts(replica);
            if is_new && condition(&pod, "Ready") { Ok(()) } else { Err("not yet") }
        });
        print_time(&format!("kill {number}: the replica is ready"), killed);
        let failures = stream.end_with_failures().failures;
        let last = failures.iter().map(|(time, _)| time.saturating_sub(at)).max();
        if let Some(last) = last {
            eprintln!("      the last failure was {} ms after the kill", last.as_millis());
            assert!(last < MAX_WINDOW, "{failures:#?}");
        }
    }
}

/// Returns the replica that answers most reviews of the stream.
fn busiest<'a>(node: &Node, replicas: &'a [Value], stream: &Stream) -> &'a Value {
    let reviews = || replicas.iter().map(|pod| node.metric(name(pod), REVIEWS)).collect::<Vec<_>>();
    let before = reviews();
    stream.await_creates(20);
    let answered = reviews().into_iter().zip(before).map(|(now, before)| now - before);
    let busiest = replicas.iter().zip(answered).max_by(|(_, one), (_, other)| one.total_cmp(other));
    busiest.unwrap().0
}

/// Returns how often the container of a pod has been restarted.
fn restarts(pod: &Value) -> u64 {
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
