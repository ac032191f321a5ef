// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {IPriceSource} from "../../contracts/oracle/IPriceSource.sol";

/// @notice Signers in ascending order of address, and the words to say what a source must refuse.
/// @dev Reasons are written out where they are expected, so that a changed constant shows.
abstract contract SourceTest is Test {
    uint256 private constant CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    /// @dev Frames' times are milliseconds and need not be whole seconds.
    uint64 internal constant TIME = 1_781_000_000_500;
    uint256 internal constant SECOND = TIME / 1000;

    address[] internal signers;
    uint256[] internal keys;

    function makeSigners(uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            (address signer, uint256 key) = makeAddrAndKey(string.concat("signer", vm.toString(i)));
            signers.push(signer);
            keys.push(key);
            for (uint256 j = i; j > 0 && signers[j - 1] > signers[j]; --j) {
                (signers[j - 1], signers[j]) = (signers[j], signers[j - 1]);
                (keys[j - 1], keys[j]) = (keys[j], keys[j - 1]);
            }
        }
    }

    /// @dev A key that is not one of the set, whose address lies between those of `keys[below]` and the one after it,
    /// so that nothing but its membership is wrong with it.
    function strangerAfter(uint256 below) internal view returns (uint256 key) {
        address low = signers[below];
        address high = signers[below + 1];
        for (key = 1;; ++key) {
            address stranger = vm.addr(key);
            if (stranger > low && stranger < high) return key;
        }
    }

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev The other signature over the same digest by the same key, which anybody can make of the first.
    function malleated(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
        uint8 v = uint8(signature[64]);
        return abi.encodePacked(r, bytes32(CURVE_ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27));
    }

    function domainOf(string memory name, uint256 chain, address deployment) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                chain,
                deployment
            )
        );
    }

    function typedDigest(bytes32 domain, bytes32 structHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function expectRefusal(bytes32 feed, uint64 time, bytes32 reason) internal {
        vm.expectRevert(abi.encodeWithSelector(IPriceSource.PriceNotProven.selector, feed, time, reason));
    }
}
