//! The command line of Exchange OS: runs a node, trades through one, and audits one.

mod account;
mod amend;
mod audit;
mod cancel;
mod demo;
mod deposit;
mod error;
mod journal;
mod keep;
mod markets;
mod node;
mod order;
mod output;
mod plan;
mod session;
mod shards;
mod transfer;
mod venue;
mod venues;
mod withdraw;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::CliError;

/// Exchange OS: trade, run a sequencer, audit it.
///
/// Traders need a node's address (`--rpc`) and a key (`--key-file`, or XOS_KEY in the environment). Orders are signed here
/// and nothing leaves this machine but the signature.
#[derive(Parser)]
#[command(name = "xos", version, max_term_width = 110, arg_required_else_help = true)]
#[command(after_help = "Examples:
  xos demo                                      the 2026 World Cup market, from end to end
  xos markets spain                             markets whose event or outcome mentions Spain
  xos deposit 100 --mint                        100 simulated tokens into a new account
  xos order buy champion/spain --price 0.2 --size 10
  xos account                                   your accounts, positions and orders
  xos keep 500                                  take over what failing accounts hold, for a part of the penalty
  xos withdraw all                              everything that is free, back to your address")]
struct Xos {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Node(node::Node),
    Shards(shards::Shards),
    Venue(venue::Venue),
    Markets(markets::Markets),
    Book(markets::Book),
    Account(account::Account),
    Order(order::Order),
    Amend(amend::Amend),
    Cancel(cancel::Cancel),
    Keep(keep::Keep),
    Deposit(deposit::Deposit),
    Transfer(transfer::Transfer),
    Withdraw(withdraw::Withdraw),
    Audit(audit::Audit),
    Journal(journal::Journal),
}

fn main() -> ExitCode {
    // A mistake in the flags ends here, with exit code 2.
    let xos = Xos::parse();
    let runtime = match xos_node::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(xos.command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Demo(demo) => return demo.run().await,
        Command::Node(node) => return node.run().await,
        Command::Shards(shards) => return shards.run().await,
        Command::Venue(venue) => venue.run().await?,
        Command::Markets(markets) => markets.run().await?,
        Command::Book(book) => book.run().await?,
        Command::Account(account) => account.run().await?,
        Command::Order(order) => order.run().await?,
        Command::Amend(amend) => amend.run().await?,
        Command::Cancel(cancel) => cancel.run().await?,
        Command::Keep(keep) => keep.run().await?,
        Command::Deposit(deposit) => deposit.run().await?,
        Command::Transfer(transfer) => transfer.run().await?,
        Command::Withdraw(withdraw) => withdraw.run().await?,
        Command::Audit(audit) => return audit.run().await,
        Command::Journal(journal) => journal.run()?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_explains_itself_with_an_example() {
        let mut xos = Xos::command();
        xos.build();
        for command in xos.get_subcommands().filter(|command| command.get_name() != "help") {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} says what it does");
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.contains(&format!("xos {name}")), "{name} shows an example");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{name} {} is explained", argument.get_id());
            }
        }
    }
}
