//! The reverse proxy of `docs/operations.md`, as it stands there, with a certificate of its own before a real node: HTTP,
//! WebSocket and binary order entry through TLS, and who the client is.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Join, join};
use tokio::process::{ChildStdin, ChildStdout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use xos_api::{EntryAnswer, EntryRequest, XosApiClient};
use xos_types::{AccountId, Side};

use crate::entry::place;
use crate::exchange::{ALICE, AMPLE, BOB, Exchange, alice, free_port, order};

const PAGE: &str = include_str!("../../../../docs/operations.md");

/// Ends nginx when dropped.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it.
        crate::exchange::signal(self.0.id(), "TERM");
        let _ = self.0.wait();
    }
}

/// Where nginx is, if it is installed. The Makefile installs it where it can.
fn nginx() -> Option<PathBuf> {
    let places = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx", "/opt/homebrew/bin/nginx"];
    places.into_iter().map(PathBuf::from).find(|path| path.is_file())
}

/// The documented configuration with this test's addresses and certificate.
fn start(program: PathBuf, exchange: &Exchange, port: u16) -> Nginx {
    let certificate =
        ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let (pem, secret) = (exchange.path("node.pem"), exchange.path("node.key"));
    let made = Command::new("openssl")
        .args(certificate)
        .args(["-subj", "/CN=node.example", "-addext", "subjectAltName=DNS:node.example", "-out"])
        .args([pem.as_os_str(), "-keyout".as_ref(), secret.as_os_str()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let block = PAGE.split("```nginx\n").nth(1).and_then(|block| block.split("```").next()).unwrap();
    let site = block
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
        .replace("127.0.0.1:8645", &exchange.address())
        .replace("/etc/ssl/node.example.pem", pem.to_str().unwrap())
        .replace("/etc/ssl/node.example.key", secret.to_str().unwrap());
    let folder = exchange.folder.path().display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/nginx-{name};\n"))
        .concat();
    let config = format!(
        "daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/nginx.log;\n\
         events {{ worker_connections 512; }}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n"
    );
    std::fs::write(exchange.path("nginx.conf"), config).unwrap();
    let mut command = Command::new(program);
    command.arg("-p").arg(exchange.folder.path()).arg("-e").arg(exchange.path("nginx.log"));
    command.arg("-c").arg(exchange.path("nginx.conf"));
    Nginx(command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap())
}

/// A connection through TLS from one of this machine's addresses, whose other end has the certificate.
struct Tls {
    stream: Join<ChildStdout, ChildStdin>,
    _openssl: tokio::process::Child,
}

fn connect(exchange: &Exchange, port: u16, from: &str) -> Tls {
    let mut openssl = tokio::process::Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-servername", "node.example", "-verify_hostname"])
        .args(["node.example", "-connect", &format!("127.0.0.1:{port}"), "-bind", from, "-CAfile"])
        .arg(exchange.path("node.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    Tls { stream: join(openssl.stdout.take().unwrap(), openssl.stdin.take().unwrap()), _openssl: openssl }
}

/// What the node says is left to the client.
async fn left(exchange: &Exchange, port: u16, from: &str, header: &str) -> Option<u64> {
    let mut tls = connect(exchange, port, from);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "xos_events", "params": [] }).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: node.example\r\nConnection: close\r\nContent-Type: application/json\r\n{header}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tls.stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    tls.stream.read_to_string(&mut answer).await.ok()?;
    let answer = answer.to_ascii_lowercase();
    let (_, left) = answer.strip_prefix("http/1.1 200")?.split_once("\"address\";r=")?;
    left.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_proxy_brings_tls_and_says_who_its_clients_are() {
    let Some(program) = nginx() else {
        // Not by a macro, whose words a passing test keeps to itself.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: there is no nginx here; install it, or run `make nginx`\n");
        return;
    };
    let mut exchange = Exchange::prepare().await;
    let config = std::fs::read_to_string(exchange.path("node.toml")).unwrap();
    let config = config.replace("[limits]", "trusted_proxies = \"127.0.0.1\"\n[limits]");
    let few = "address_per_second = 1\naddress_burst = 2000";
    std::fs::write(exchange.path("node.toml"), config.replace(AMPLE, few)).unwrap();
    exchange.start_node().await;
    exchange
        .until("the deposits are credited", async |exchange| exchange.client.account(AccountId(BOB)).await.is_ok())
        .await;
    let port = free_port();
    let _nginx = start(program, &exchange, port);
    exchange.until("nginx answers", async |exchange| left(exchange, port, "127.0.0.2", "").await.is_some()).await;

    // Each has its own budget, whatever it says of itself.
    let first = left(&exchange, port, "127.0.0.3", "").await.unwrap();
    assert_eq!(first, 1_994);
    let second = left(&exchange, port, "127.0.0.3", "X-Forwarded-For: 198.51.100.7\r\n").await.unwrap();
    assert!((1_988..1_994).contains(&second), "{second}");
    assert_eq!(left(&exchange, port, "127.0.0.4", "").await, Some(1_994));

    // WebSocket with JSON and binary on one connection.
    let tls = connect(&exchange, port, "127.0.0.5");
    let (socket, _) = client_async("wss://node.example/", tls.stream).await.unwrap();
    let mut socket = crate::entry::Client(socket);
    socket.send(json!({ "jsonrpc": "2.0", "id": 1, "method": "xos_challenge", "params": [] }).to_string()).await;
    let Message::Text(answer) = socket.receive().await else { panic!() };
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["result"].as_str().is_some_and(|challenge| challenge.len() == 66), "{answer}");
    assert!(answer["budget"]["address"].as_u64().is_some_and(|left| left > 1_990), "{answer}");
    let entries = vec![place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 10, 100))];
    socket.send(EntryRequest { tag: 3, entries }.encode()).await;
    let Message::Binary(answer) = socket.receive().await else { panic!() };
    let EntryAnswer::Done { results, .. } = EntryAnswer::decode(&answer).unwrap() else { panic!() };
    assert_eq!((results[0].refused, results[0].remaining.0), (None, 10));
}
