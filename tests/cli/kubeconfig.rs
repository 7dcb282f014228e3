//! Kubeconfigs of `plan`: their errors, and proxies.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use crate::{
    Workspace,
    api_server::ApiServer,
    plan_cluster::{MAP, cluster, list, pod},
};

/// Returns a kubeconfig with these fields of its cluster `c` and its user `u`.
fn kubeconfig_with(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
         clusters: [{{ name: c, cluster: {cluster} }}]\n\
         contexts: [{{ name: a, context: {{ cluster: c, user: u }} }}, \
         {{ name: b, context: {{ cluster: d, user: u }} }}]\n\
         users: [{{ name: u, user: {user} }}]\n"
    )
}

#[test]
fn an_error_in_a_kubeconfig_says_what_is_wrong_with_what() {
    let server = "server: 'https://127.0.0.1:1'";
    let url = "the `server` of the cluster `c` is not a URL that begins with http:// or https://";
    let exec = |command: &str, arguments: &str| {
        format!(
            "{{ exec: {{ apiVersion: client.authentication.k8s.io/v1, command: {command}, \
             args: {arguments}, interactiveMode: Never }} }}"
        )
    };
    let proxy =
        "the `proxy-url` of the cluster `c`: not a URL that begins with http:// or https://";
    for (cluster, user, expected) in [
        ("{ server: '127.0.0.1:1' }", "{}".to_owned(), url),
        ("{ server: localhost }", "{}".to_owned(), url),
        ("{ server: /x }", "{}".to_owned(), url),
        ("{ server: '' }", "{}".to_owned(), url),
        ("{ server: 'ftp://h.io' }", "{}".to_owned(), url),
        ("{}", "{}".to_owned(), url),
        (
            &format!("{{ {server}, certificate-authority: none.crt }}"),
            "{}".to_owned(),
            "the CA certificate none.crt of the cluster `c`: No such file or directory",
        ),
        (
            &format!("{{ {server}, certificate-authority-data: '!' }}"),
            "{}".to_owned(),
            "the CA certificate of the cluster `c`: not valid base64",
        ),
        (
            &format!("{{ {server} }}"),
            "{ tokenFile: none.token }".to_owned(),
            "the token file none.token of the user `u`: No such file or directory",
        ),
        (
            &format!("{{ {server} }}"),
            exec("no-such-program", "[]"),
            "the command `no-such-program` of the user `u`: No such file or directory",
        ),
        (
            &format!("{{ {server} }}"),
            exec("sh", "[-c, 'echo token-of-the-user; echo wrong >&2; exit 3']"),
            "the command `sh` of the user `u`: exit status: 3: wrong",
        ),
        (&format!("{{ {server}, proxy-url: 'socks5://h.io' }}"), "{}".to_owned(), proxy),
        (
            &format!("{{ {server}, certificate-authority: broken.crt }}"),
            "{}".to_owned(),
            "the CA certificate broken.crt of the cluster `c`: not valid PEM",
        ),
        (
            &format!("{{ {server} }}"),
            "{ token: \"token-of-the-user\\n\" }".to_owned(),
            "the token of the user `u` has a character that cannot be sent, such as a line break",
        ),
        (
            &format!("{{ {server} }}"),
            exec("sh", "[-c, 'exit 3']"),
            "the command `sh` of the user `u`: exit status: 3\n",
        ),
    ] {
        let config = kubeconfig_with(cluster, &user);
        let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        let files = [("map", MAP), ("config", &config), ("broken.crt", broken)];
        let workspace = Workspace::new(&files);
        let run = workspace.imageswap(&["plan", "--maps", "map", "--kubeconfig", "config"]).run();
        let error = format!("error: the kubeconfig config: {expected}");
        assert!(run.stderr.starts_with(&error), "{cluster} {user}: {}", run.stderr);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(!run.stderr.contains("token-of-the-user"), "{}", run.stderr);
    }
}

#[test]
fn a_context_that_is_missing_is_named_beside_the_others() {
    let config = kubeconfig_with("{ server: 'https://127.0.0.1:1' }", "{}");
    let pod = "apiVersion: v1\nkind: Pod\n";
    let workspace = Workspace::new(&[("map", MAP), ("config", &config), ("pod", pod)]);
    for (file, context, expected) in [
        ("config", &["--context", "z"][..], "there is no context `z`; the contexts are `a`, `b`"),
        ("config", &["--context", "b"], "there is no cluster `d`, which the context `b` names"),
        ("pod", &["--context", "z"], "there is no context `z`; the kubeconfig has no contexts"),
        ("pod", &[], "there is no `current-context`; is it a kubeconfig?"),
    ] {
        let arguments = [&["plan", "--maps", "map", "--kubeconfig", file], context].concat();
        let run = workspace.imageswap(&arguments).run();
        let error = format!("error: the kubeconfig {file}: {expected}\n");
        assert_eq!((run.code, &*run.stderr), (Some(2), &*error));
    }
}

#[test]
fn an_api_server_that_cannot_be_reached_is_named() {
    let config = kubeconfig_with("{ server: 'https://127.0.0.1:1' }", "{}");
    let workspace = Workspace::new(&[("map", MAP), ("config", &config)]);
    let run = workspace.imageswap(&["plan", "--maps", "map", "--kubeconfig", "config"]).run();
    let server = "; the API server is 127.0.0.1:1, by the context `a` of the kubeconfig config\n";
    assert!(run.stderr.ends_with(server), "{}", run.stderr);
    assert_eq!(run.code, Some(1));
}

/// Starts a proxy that connects each client to `to`, and returns its address. Clients ask for `api.x.invalid`.
fn start_proxy(to: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                (&client).read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            assert!(head.starts_with(b"CONNECT api.x.invalid:8080 "), "{head:?}");
            (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let server = TcpStream::connect(&to).unwrap();
            let (client_copy, server_copy) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut &client_copy, &mut &server_copy));
            thread::spawn(move || io::copy(&mut &server, &mut &client));
        }
    });
    address
}

#[test]
fn the_api_server_is_reached_through_a_proxy() {
    let server = ApiServer::start(cluster(vec![list(&[pod("a", "nginx:1")], "")]));
    let proxy = start_proxy(server.address.clone()).to_string();
    let run = |cluster: &str, variables: &[(&str, &str)]| {
        let config = kubeconfig_with(cluster, "{}");
        let workspace = Workspace::new(&[("map", MAP), ("config", &config)]);
        let mut plan = workspace.imageswap(&["plan", "--maps", "map", "--kubeconfig", "config"]);
        for name in
            ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"]
        {
            let found = variables.iter().find(|(known, _)| *known == name);
            plan = plan.variable(name, found.map_or("", |(_, value)| value));
        }
        plan.run()
    };
    let remote = "{ server: 'http://api.x.invalid:8080' }";
    let by_variable = run(remote, &[("HTTP_PROXY", &proxy)]);
    assert_eq!(by_variable.code, Some(3), "{}", by_variable.stderr);
    let with_proxy =
        format!("{{ server: 'http://api.x.invalid:8080', proxy-url: 'http://u:word@{proxy}' }}");
    // A proxy of the kubeconfig is used whatever the environment says.
    let by_field = run(&with_proxy, &[("HTTP_PROXY", "127.0.0.1:1"), ("NO_PROXY", "*,")]);
    assert_eq!(by_field.code, Some(3), "{}", by_field.stderr);
    let own = format!("{{ server: 'http://{}' }}", server.address);
    let direct = run(&own, &[("HTTP_PROXY", "proxy.invalid:1")]);
    assert_eq!(direct.code, Some(3), "{}", direct.stderr);
    let refused = run(remote, &[("HTTP_PROXY", "http://u:word@127.0.0.1:1")]);
    let place = "the context `a` of the kubeconfig config, through the proxy 127.0.0.1:1\n";
    assert!(refused.stderr.ends_with(place), "{}", refused.stderr);
    let wrong = run("{ server: 'https://api.x.invalid' }", &[("HTTPS_PROXY", "//u:word@h:1")]);
    let error = "error: HTTPS_PROXY: not a URL that begins with http:// or https://\n";
    assert_eq!((wrong.code, &*wrong.stderr), (Some(2), error));
    let plain = run(remote, &[("http_proxy", "//u:word@h:1")]);
    let error = "error: http_proxy: not a URL that begins with http:// or https://\n";
    assert_eq!((plain.code, &*plain.stderr), (Some(2), error));
    for run in [by_variable, by_field, direct, refused, wrong, plain] {
        assert!(!run.stderr.contains("word"), "{}", run.stderr);
    }
}
