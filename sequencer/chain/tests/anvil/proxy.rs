//! A line to the chain that can be cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Duration, sleep};

pub(crate) struct Proxy {
    pub(crate) url: String,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let cut = Arc::new(AtomicBool::new(false));
        let is_cut = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let is_cut = Arc::clone(&is_cut);
                tokio::spawn(async move {
                    if is_cut.load(Ordering::SeqCst) {
                        return;
                    }
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        () = until(&is_cut) => {}
                    }
                });
            }
        });
        Self { url, cut }
    }

    /// Cuts the line, requests under way included, or mends it.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }
}

async fn until(cut: &AtomicBool) {
    while !cut.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(5)).await;
    }
}
