//! The trees of a frame as the contract takes them: root, signature, and a proof for every line that refers to one.
//!
//! A frame has the orders of a tree and not its hashes, so the tree is built here, once for its batch.

use xos_auth::{Domain, Tree};
use xos_types::{FillLine, Frame, Signature, SignedTree, TreeId};

use crate::abi;
use crate::batch::signature_to_abi;

/// The number by which the contract knows the tree of a line: its place among the batch's, from 1; 0 for an order with a signature
/// of its own.
pub(crate) fn number_of(line: &FillLine, trees: &[(TreeId, SignedTree)]) -> u32 {
    let Some(tree) = line.order.signature.tree() else { return 0 };
    let place = trees.iter().position(|(number, _)| *number == tree).expect("a frame has the trees of its lines");
    u32::try_from(place + 1).expect("a frame is sealed long before 2^32 trees")
}

/// Every tree of the frame.
pub(crate) fn trees_to_abi(frame: &Frame, domain: &Domain) -> Vec<abi::OrderTree> {
    let mut built = Tree::default();
    let trees = frame.trees.iter().map(|(number, tree)| {
        built.build(domain, tree.orders()).expect("a signed tree has as many orders as a tree may");
        abi::OrderTree {
            root: built.message().root.into(),
            signature: signature_to_abi(&tree.signature),
            depth: u8::try_from(tree.depth()).expect("ten at most"),
            proofs: lines_of(frame, *number)
                .flat_map(|line| {
                    let place = tree.orders().iter().position(|order| *order == line.order.message);
                    built.proof(place.expect("the order of a line is in its tree"))
                })
                .map(Into::into)
                .collect(),
        }
    });
    trees.collect()
}

/// The lines that refer to a tree, in the order in which the contract comes upon them.
fn lines_of(frame: &Frame, tree: TreeId) -> impl Iterator<Item = &FillLine> {
    let reference = Signature::of_tree(tree);
    frame.markets.iter().flat_map(|(_, lines)| lines).filter(move |line| line.order.signature == reference)
}
