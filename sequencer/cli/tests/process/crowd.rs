//! Many connections at a time: most of them idle, some of them trading, one order after the other each. `XOS_CROWD` is how many are
//! idle; a fifth as many trade. `make test-long` has 5,000 and 1,000.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::client_async;
use xos_api::EntryAnswer;
use xos_types::{Order, OrderKind, Side};

use crate::entry::{Client, place};
use crate::exchange::{ALICE, BOB, Exchange, alice, bob, order};
use crate::hostile::memory;

/// Orders of each that trades.
const ORDERS: u64 = 5;

/// A WebSocket from one of many addresses of this machine, a hundred on each.
async fn connect(target: SocketAddr, number: usize) -> Client<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    let (upper, lower) = (u8::try_from(number / 100 / 200).unwrap(), u8::try_from(number / 100 % 200).unwrap());
    socket.bind(SocketAddr::from(([127, 1, upper, 1 + lower], 0))).unwrap();
    let stream = socket.connect(target).await.unwrap();
    Client(client_async(format!("ws://{target}/"), stream).await.unwrap().0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_connections_costs_little_and_each_is_served() {
    let idle: usize = std::env::var("XOS_CROWD").map_or(250, |idle| idle.parse().unwrap());
    let busy = idle / 5;
    let exchange = Exchange::open().await;
    let target = exchange.address().parse().unwrap();
    let before = memory(exchange.process());
    let mut resting = Vec::new();
    for number in 0..idle {
        resting.push(connect(target, number).await);
    }
    let each = (memory(exchange.process()).saturating_sub(before) << 10) / u64::try_from(idle).unwrap();

    let mut trading = Vec::new();
    for number in 0..busy {
        let mut client = connect(target, idle + number).await;
        let (account, key, side, price) =
            if number % 2 == 0 { (ALICE, alice(), Side::Buy, 100) } else { (BOB, bob(), Side::Sell, 900) };
        let first = u64::try_from(number).unwrap() * ORDERS;
        let quotes = (1..=ORDERS).map(|nonce| {
            let order = Order { kind: OrderKind::PostOnly, ..order(account, first + nonce, side, 1, price) };
            place(&exchange, &key, order)
        });
        let quotes: Vec<_> = quotes.collect();
        trading.push(tokio::spawn(async move {
            let mut waits = Vec::new();
            for quote in quotes {
                let begun = Instant::now();
                let EntryAnswer::Done { results, reasons, .. } = client.ask(vec![quote]).await else { panic!() };
                assert_eq!(results[0].refused, None, "{reasons:?}");
                waits.push(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            waits
        }));
    }
    let mut waits = Vec::new();
    for trader in trading {
        waits.extend(trader.await.unwrap());
    }
    waits.sort();
    let p99 = waits[waits.len() * 99 / 100];
    println!(
        "{idle} idle connections, {each} bytes each; {busy} busy ones: median {:?}, p99 {p99:?}, worst {:?}",
        waits[waits.len() / 2],
        waits[waits.len() - 1]
    );
    assert_eq!(waits.len(), busy * usize::try_from(ORDERS).unwrap());
    assert!(each < 100_000, "{each} bytes each");
    // Those that were idle are still there.
    for client in resting.iter_mut().step_by(50) {
        client.send(r#"{"jsonrpc":"2.0","id":1,"method":"xos_health"}"#).await;
        assert_eq!(client.receive_json().await["result"], true);
    }
}
