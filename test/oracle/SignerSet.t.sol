// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SignerSet} from "../../contracts/oracle/SignerSet.sol";
import {SourceTest} from "./SourceTest.sol";

contract BareSet is SignerSet {
    constructor(address[] memory signers, uint256 quorum) SignerSet(signers, quorum) {}
}

contract SignerSetTest is SourceTest {
    function setUp() public {
        makeSigners(4);
    }

    function test_knows_its_signers_and_nobody_else() public {
        BareSet set = new BareSet(signers, 3);
        assertEq(set.quorum(), 3);
        for (uint256 i = 0; i < signers.length; ++i) {
            assertTrue(set.isSigner(signers[i]));
        }
        assertFalse(set.isSigner(makeAddr("stranger")));
        assertFalse(set.isSigner(address(0)));
    }

    function test_a_quorum_is_more_than_half_and_not_more_than_all() public {
        refusesQuorum(2);
        new BareSet(signers, 3);
        new BareSet(signers, 4);
        refusesQuorum(5);
        refusesQuorum(type(uint256).max);
        refusesQuorum(0);
        signers.pop();
        refusesQuorum(1);
        new BareSet(signers, 2);
        delete signers;
        refusesQuorum(0);
        refusesQuorum(1);
    }

    function test_refuses_a_repeated_signer() public {
        signers[2] = signers[1];
        refusesOrder(signers[1], signers[1]);
    }

    function test_refuses_signers_out_of_order() public {
        (signers[2], signers[3]) = (signers[3], signers[2]);
        refusesOrder(signers[2], signers[3]);
    }

    function test_refuses_the_zero_address() public {
        signers[0] = address(0);
        refusesOrder(address(0), address(0));
    }

    function refusesQuorum(uint256 quorum) private {
        vm.expectRevert(abi.encodeWithSelector(SignerSet.QuorumOutOfBounds.selector, quorum, signers.length));
        new BareSet(signers, quorum);
    }

    function refusesOrder(address previous, address signer) private {
        vm.expectRevert(abi.encodeWithSelector(SignerSet.SignersNotAscending.selector, previous, signer));
        new BareSet(signers, 3);
    }
}
