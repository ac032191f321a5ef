// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "../../contracts/group/IRiskGroup.sol";
import {Batch, FeedId, MarketId, PerpetualConfig, PriceUpdate} from "../../contracts/group/Types.sol";
import {IPriceSource} from "../../contracts/oracle/IPriceSource.sol";
import {QuorumSource} from "../../contracts/oracle/QuorumSource.sol";
import {PerpetualTest} from "./PerpetualTest.sol";

/// @notice A perpetual on a price that its venue signs alone. What other reporters would have vouched for, the feed's bounds do:
/// how often a price comes, how old it is, how fast it moves. Whatever breaks one is on record for good.
/// @dev As script/config/prices-venue.json and market-house.json: a price every three seconds, good for five, 0.1 % a second.
contract VenueFeedTest is PerpetualTest {
    uint256 private constant UNIT = 1e12;

    QuorumSource private venueSource;
    uint256 private reporter;
    MarketId private house;
    FeedId private feed;

    function setUp() public override {
        super.setUp();
        address[] memory reporters = new address[](1);
        (reporters[0], reporter) = makeAddrAndKey("reporter");
        venueSource = new QuorumSource(reporters, 1, 0, 3000);
        PerpetualConfig memory config = perpetualConfig("HOUSE");
        (config.feed.source, config.feed.maxAge, config.feed.maxGap) = (address(venueSource), 5000, 3000);
        config.feed.maxMove = 1000;
        (house, feed) = listPerpetual(config);
        settleInbox();
        settle(priced(100e18));
    }

    function test_what_the_venue_signs_is_the_price_while_it_keeps_its_bounds() public {
        exchange(alice, bob, house, 10, 100);
        pass(3);
        settle(priced(100.3e18));
        assertEq(views.feed(feed).price, 1003 * UNIT / 10);
        assertEq(views.incidents(), 0);
        exchange(alice, bob, house, 10, 100);
        assertEq(positionOf(alice, house), 20);
    }

    function test_another_key_is_not_the_venue() public {
        pass(1);
        Batch memory batch = signed(uint256(keccak256("somebody else")), 100e18);
        assertRefused(
            batch,
            abi.encodeWithSelector(
                IPriceSource.PriceNotProven.selector, bytes32("HOUSE"), batch.time, bytes32("signer")
            )
        );
    }

    function test_a_jump_moves_the_price_as_far_as_it_may_and_is_on_record() public {
        exchange(alice, bob, house, 10, 100);
        pass(2);
        settleIncident(priced(200e18), IRiskGroup.IncidentKind.TooFar, 200 * UNIT, 1002 * UNIT / 10);
    }

    function test_a_silence_is_on_record_when_it_ends() public {
        exchange(alice, bob, house, 10, 100);
        pass(4);
        settleIncident(priced(100e18), IRiskGroup.IncidentKind.TooRare, 4000, 3000);
        pass(1);
        settle(priced(100e18));
        exchange(alice, bob, house, 1, 100);
        assertEq(positionOf(alice, house), 6, "and over with the next good price");
    }

    function test_while_the_venue_says_nothing_positions_only_shrink() public {
        exchange(alice, bob, house, 10, 100);
        pass(6);
        assertOnlyReduces();
        assertEq(views.incidents(), 0);
    }

    function assertOnlyReduces() private {
        assertRefused(
            batchOf(trade(alice, bob, house, 1, 100)),
            abi.encodeWithSelector(IRiskGroup.OnlyReducing.selector, alice.account, 2, int256(10), int256(11))
        );
        exchange(bob, alice, house, 5, 100);
        assertEq(positionOf(alice, house), 5);
    }

    /// @notice A batch whose price breaks a rule: it is on record, and positions only shrink.
    function settleIncident(Batch memory next, IRiskGroup.IncidentKind kind, uint256 value, uint256 limit) private {
        uint64 number = views.incidents();
        bytes32 evidence = keccak256(next.prices[0].proof);
        vm.expectEmit(address(group));
        emit IRiskGroup.Incident(number, VENUE, feed, kind, value, limit, nowMs(), evidence);
        settle(next);
        assertEq(views.incidents(), number + 1);
        assertOnlyReduces();
    }

    function priced(uint256 price) private view returns (Batch memory) {
        return signed(reporter, price);
    }

    /// @dev A batch with a report of now.
    function signed(uint256 key, uint256 price) private view returns (Batch memory batch) {
        batch = nextBatch();
        bytes32 report = keccak256(
            abi.encode(
                keccak256("PriceReport(bytes32 feed,uint256 price,uint64 time)"), bytes32("HOUSE"), price, batch.time
            )
        );
        (, string memory name, string memory version, uint256 chain, address verifier,,) = venueSource.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chain,
                verifier
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", domain, report)));
        QuorumSource.Report[] memory reports = new QuorumSource.Report[](1);
        reports[0] = QuorumSource.Report(price, batch.time, abi.encodePacked(r, s, v));
        batch.prices = new PriceUpdate[](1);
        batch.prices[0] = PriceUpdate({feed: feed, proof: abi.encode(reports)});
    }
}
