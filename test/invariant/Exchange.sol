// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {console} from "forge-std/console.sol";
import {AccountId, EventId, VenueConfig} from "../../contracts/group/Types.sol";
import {Attacks} from "./Attacks.sol";

uint256 constant ACTIONS = 33;

/// @notice All that can happen to the group, as a list; and beside it a twin group, to which nothing happens.
abstract contract Exchange is Attacks {
    Deployment internal twin;
    bytes32 internal twinAtRest;

    function setUp() public virtual override {
        super.setUp();
        Deployment memory own = Deployment(group, gateway, address(0));
        twin = newDeployment();
        use(twin);
        Trader memory left = openAccount("left", 1000e6);
        Trader memory right = openAccount("right", 1000e6);
        VenueConfig memory config;
        config.treasury = left.account;
        openVenue(config);
        EventId id = openEvent(3);
        settleInbox();
        settle(batchOf(trade(left, right, market(id, 1), 1000, 400)));
        twinAtRest = stateOf();
        use(own);
    }

    /// @notice Every action, each a function of one seed.
    function actions() internal pure returns (bytes4[] memory list) {
        list = new bytes4[](ACTIONS);
        bytes4[ACTIONS] memory all = [
            this.trades_outcomes.selector,
            this.trades_perpetuals.selector,
            this.trades_spot.selector,
            this.reduces.selector,
            this.fills_further.selector,
            this.trades_by_tree.selector,
            this.deposits.selector,
            this.donates.selector,
            this.withdraws.selector,
            this.claims.selector,
            this.forces_withdrawals.selector,
            this.transfers.selector,
            this.isolates.selector,
            this.cancels_all.selector,
            this.grants.selector,
            this.changes_phases.selector,
            this.moves_prices.selector,
            this.jumps_prices.selector,
            this.breaches_prices.selector,
            this.silences.selector,
            this.funds.selector,
            this.resolves.selector,
            this.redeems.selector,
            this.liquidates.selector,
            this.converts.selector,
            this.exits.selector,
            this.bankrupts.selector,
            this.forces_closes.selector,
            this.unwinds_the_fund.selector,
            this.attacks_with_a_fill.selector,
            this.attacks_with_a_batch.selector,
            this.attacks_with_a_message.selector,
            this.attacks_with_a_rescue.selector
        ];
        for (uint256 i = 0; i < ACTIONS; ++i) {
            list[i] = all[i];
        }
    }

    /// @notice A hash of all that can be asked of the twin: its words are the test's while it is used.
    function stateOf() internal view returns (bytes32 hash) {
        (uint128 tokens, uint128 debt, uint64 frozen) = views.pool();
        (uint64 id, bytes32 last, uint64 time, uint64 sequence) = views.lastBatch();
        hash = keccak256(abi.encode(tokens, debt, frozen, id, last, time, sequence, token.balanceOf(address(group))));
        for (uint64 i = 1; i <= gateway.accounts(); ++i) {
            AccountId one = AccountId.wrap(i);
            hash = keccak256(
                abi.encode(hash, views.account(one), views.health(one), views.positions(one, EventId.wrap(1)))
            );
        }
    }

    /// @notice What came of every action so far.
    function report() internal view {
        for (uint256 i = 0; i < actionNames.length; ++i) {
            bytes32 name = actionNames[i];
            console.log(string(abi.encodePacked(name)), done[name], "of", tried[name]);
        }
        (uint128 tokens, uint128 debt,) = views.pool();
        console.log("pool, shared losses", tokens, debt);
    }
}
