//! How events end when nobody is trusted with them: by claims with a bond, each with the scripts that everybody has. What is
//! disputed twice goes to a XIP; what no XIP rules on is void.

use serde_json::json;
use xos_chain::{At, Claimant, Question};
use xos_types::EventId;

use crate::world::{DEPLOYERS, TRADERS, World, key};

/// On a chain that says it is X Layer's test net.
const CHAIN: u64 = 1952;
/// Many times what a script takes, also on a busy machine: a dispute must come in time.
const WINDOW_SECONDS: u64 = 30;
const PATIENCE_SECONDS: u64 = 21 * DAY;
const DAY: u64 = 86_400;
/// Atoms of a first claim.
const BOND: u128 = 25_000_000;
const YES: [u64; 2] = [1000, 0];
const NO: [u64; 2] = [0, 1000];
/// How each event is argued about.
const AGREED: EventId = EventId(1);
const DISPUTED: EventId = EventId(2);
const RULED: EventId = EventId(3);
const GIVEN_UP: EventId = EventId(4);
/// The XIP after the one that opened the venue.
const XIP: &str = "2";

/// A file that says how an event ended.
fn resolution(world: &World, event: EventId, payouts: [u64; 2]) -> String {
    let said = json!({
        "group": 1, "event": event.0, "payouts": payouts, "evidence": "https://exchange.example/results.html",
    });
    world.write(&format!("resolution-{event}-{}", payouts[0]), &said)
}

async fn says(world: &World, who: u8, function: &str, event: EventId, payouts: [u64; 2]) {
    let file = resolution(world, event, payouts);
    world.script(who, "Resolve", &format!("{function}(string)"), &[&file]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_decide_events_disputes_cost_their_loser_and_governance_has_the_last_word() {
    let terms =
        json!({ "window": WINDOW_SECONDS, "patience": PATIENCE_SECONDS, "leastBond": 25_000_000, "bondShare": 10_000 });
    let mut world = World::begin(CHAIN, &[("resolver", terms)]).await;
    world.start_shards();
    let asked = ["Is heads?", "Is the second?", "Is the third?", "Is the fourth?"];
    world.open(DEPLOYERS[0], "argued", &asked, json!("core"));
    world.until("the group's node", |world| world.node(1)).await;
    for trader in TRADERS {
        world.xos_ok(1, trader, &["deposit", "100", "--mint"]);
    }
    assert!(world.trade(1).contains("4 filled"));

    let chain = world.chain(1).await;
    let [alice, bob] = TRADERS.map(|trader| Claimant::new(chain.wallet(key(trader)), world.core().resolver));
    for claimant in [&alice, &bob] {
        claimant.wallet().mint(claimant.wallet().address(), 20 * BOND).await.unwrap();
    }
    let [by_alice, by_bob] = TRADERS;
    says(&world, by_alice, "claim", AGREED, YES).await;
    says(&world, by_bob, "claim", DISPUTED, NO).await;
    says(&world, by_alice, "dispute", DISPUTED, YES).await;
    for event in [RULED, GIVEN_UP] {
        says(&world, by_bob, "claim", event, NO).await;
        says(&world, by_alice, "dispute", event, YES).await;
        says(&world, by_bob, "dispute", event, NO).await;
    }
    let bonds = |question: Question| question.claims.iter().map(|claim| claim.bond).collect::<Vec<_>>();
    assert_eq!(bonds(alice.question(RULED).await.unwrap()), [BOND, 2 * BOND, 4 * BOND]);

    // Anybody makes final what nobody disputed, and the sequencer pays it.
    for event in [AGREED, DISPUTED] {
        let closes = alice.question(event).await.unwrap().closes;
        while chain.time().await.unwrap() < closes {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        says(&world, DEPLOYERS[1], "finalize", event, YES).await;
        while chain.payouts(event, At::Latest).await.unwrap() != YES {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
    // The buyer of four shares at 0.6 has won them, the seller lost them.
    for trader in TRADERS {
        let account = world.xos_ok(1, trader, &["account"]);
        assert!(!account.contains("heads"), "the position is paid: {account}");
        world.xos_ok(1, trader, &["withdraw", "all"]);
    }
    assert_eq!(alice.owed().await.unwrap().to::<u128>(), BOND + 2 * BOND + BOND / 2);
    assert_eq!(bob.owed().await.unwrap().to::<u128>(), 0);

    // Governance decides between three claims, at the pace of a standard XIP. Its deposit is wrapped OKB.
    world.script(DEPLOYERS[0], "Stake", "wrap(uint256)", &["200000000000000000000"]).await;
    says(&world, DEPLOYERS[0], "ask", RULED, YES).await;
    world.pass(2 * DAY + 1).await;
    world.script(DEPLOYERS[0], "Xip", "vote(uint64,uint8)", &[XIP, "1"]).await;
    world.pass(6 * DAY).await;
    world.script(DEPLOYERS[1], "Xip", "queue(uint64)", &[XIP]).await;
    world.pass(3 * DAY).await;
    let waiting = chain.inbox(At::Latest).await.unwrap().tail;
    world.script(DEPLOYERS[1], "Xip", "execute(uint64)", &[XIP]).await;
    assert!(alice.question(RULED).await.unwrap().decided);
    assert_eq!(chain.inbox(At::Latest).await.unwrap().tail, waiting + 1, "the group hears of it");

    // Nobody ruled on the last one, and its time is over.
    world.pass(PATIENCE_SECONDS).await;
    says(&world, DEPLOYERS[1], "void", GIVEN_UP, YES).await;
    assert!(alice.question(GIVEN_UP).await.unwrap().decided);
    assert_eq!(chain.inbox(At::Latest).await.unwrap().tail, waiting + 2);

    // Of the ruling the truth gets half of the lie's bonds; of the void everybody his own.
    let token = world.deployment(1).token.to_string();
    let owed = [alice.owed().await.unwrap(), bob.owed().await.unwrap()].map(|atoms| atoms.to::<u128>());
    assert_eq!(owed, [3 * BOND + BOND / 2 + 2 * BOND + 5 * BOND / 2 + 2 * BOND, 5 * BOND]);
    for (who, claimant, owed) in [(by_alice, &alice, owed[0]), (by_bob, &bob, owed[1])] {
        let before = claimant.wallet().balance().await.unwrap().to::<u128>();
        world.script(who, "Resolve", "withdraw(address)", &[&token]).await;
        assert_eq!(claimant.wallet().balance().await.unwrap().to::<u128>(), before + owed);
    }
}
