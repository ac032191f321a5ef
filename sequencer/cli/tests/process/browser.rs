//! The page that measures its reader's latency, in a real browser, which is told what to do by its own protocol for that.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;

use crate::entry::Client;
use crate::exchange::{Exchange, LONG};

/// Ends with the test.
struct Browser {
    process: Child,
    client: Client,
    calls: u64,
    /// The open page.
    session: Value,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens an address; `None` if there is no browser here.
    async fn open(url: &str) -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let said = BufReader::new(process.stderr.take().unwrap());
        let mut lines = said.lines().map_while(Result::ok);
        let listening = lines.find_map(|line| line.strip_prefix("DevTools listening on ws://").map(str::to_owned));
        let listening = listening.expect("the browser says where it listens");
        // Whoever writes must be read.
        std::thread::spawn(move || lines.for_each(drop));
        let address = listening.split('/').next().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let client = Client(client_async(format!("ws://{listening}"), stream).await.unwrap().0);
        let mut browser = Self { process, client, calls: 0, session: Value::Null, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": url })).await["targetId"].take();
        let attach = json!({ "targetId": target, "flatten": true });
        browser.session = browser.call("Target.attachToTarget", attach).await["sessionId"].take();
        Some(browser)
    }

    /// What an expression of the page's is worth.
    async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        self.call("Runtime.evaluate", asked).await["result"]["value"].take()
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": params });
        if !self.session.is_null() {
            call["sessionId"] = self.session.clone();
        }
        self.client.send(call.to_string()).await;
        loop {
            let mut answer = self.client.receive_json().await;
            if answer["id"] == self.calls {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_measures_the_latency_in_a_browser() {
    const QUESTIONS: u64 = 60;
    let exchange = Exchange::open().await;
    // Another node's page measures this one, too.
    for query in ["", &format!("&node=ws://localhost:{}", exchange.address().rsplit(':').next().unwrap())] {
        let url = format!("{}/latency?questions={QUESTIONS}{query}", exchange.http);
        let Some(mut browser) = Browser::open(&url).await else {
            println!(
                "THERE IS NO BROWSER HERE: the page that measures latency was not tested; `make chromium` installs one"
            );
            return;
        };
        let begun = Instant::now();
        while browser.value("document.body?.dataset.state").await != "done" {
            let said = browser.value("document.body?.innerText").await;
            assert!(begun.elapsed() < LONG, "it says: {said}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let figure = async |browser: &mut Browser, name: &str| {
            browser.value(&format!("Number(document.body.dataset.{name})")).await.as_f64().unwrap()
        };
        let (p50, p99) = (figure(&mut browser, "p50").await, figure(&mut browser, "p99").await);
        println!("the browser measured a median of {p50:.3} ms and a p99 of {p99:.3} ms");
        assert!(0.0 < p50 && p50 <= p99 && p99 < 5_000.0, "{p50} ms, {p99} ms");
        let counted = "[...document.querySelectorAll('#histogram tr')].reduce((sum, row) => sum + Number(row.cells[1].innerText), 0)";
        assert_eq!(browser.value(counted).await, QUESTIONS, "every answer is in the histogram");
    }
}
