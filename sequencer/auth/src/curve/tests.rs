//! Field, points, halves and sums against other implementations: ruint for the field, k256 for the curve.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use alloy_primitives::{U256, uint};
use k256::elliptic_curve::Generate;
use k256::elliptic_curve::ff::PrimeField;
use k256::elliptic_curve::group::Group;
use k256::{ProjectivePoint, Scalar};
use proptest::collection::vec;
use proptest::prelude::*;

use super::comb::{Comb, Combination, side_by_side, sums};
use super::field::{Field, LANES, portable_roots, roots};
use super::pairs::Pairs;
use super::point::{Affine, Jacobian};
use super::scalar::{Odd, halves, invert, lambda, split, split_odd};
use super::sum::Summer;
use super::two::generator_and_point;
use crate::processor::testing::with_each;
use crate::processor::{Vectors, choose};

const PRIME: U256 = uint!(0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f_U256);

fn field(value: U256) -> Field {
    Field::from_limbs(value.into_limbs())
}

fn number(value: Field) -> U256 {
    U256::from_be_bytes(value.to_bytes())
}

/// Any 256 bits, and often those where carries happen: near 0, p, 2^256, and limbs of ones and zeros.
fn numbers() -> impl Strategy<Value = U256> {
    let limb = prop_oneof![Just(0), Just(u64::MAX), Just(1), Just(0x1_0000_03d1), any::<u64>()];
    let limbs = prop::array::uniform4(limb).prop_map(U256::from_limbs);
    let near = |middle: U256| any::<u32>().prop_map(move |by| middle.wrapping_add(U256::from(by)));
    let below = |middle: U256| any::<u32>().prop_map(move |by| middle.wrapping_sub(U256::from(by)));
    let ends = prop_oneof![near(PRIME), below(PRIME), near(U256::ZERO), below(U256::ZERO)];
    prop_oneof![any::<[u64; 4]>().prop_map(U256::from_limbs), limbs, ends]
}

fn scalars() -> impl Strategy<Value = Scalar> {
    let edge = prop_oneof![Just(Scalar::ZERO), Just(Scalar::ONE), Just(-Scalar::ONE), Just(lambda()), Just(-lambda())];
    let any = any::<[u8; 32]>().prop_filter_map("below the order", |b| Scalar::from_repr(b.into()).into_option());
    prop_oneof![1 => edge, 4 => any]
}

/// Few different points, so that sums meet themselves and their opposites.
fn points() -> impl Strategy<Value = ProjectivePoint> {
    let small = (-3_i64..=3).prop_filter("not infinity", |n| *n != 0).prop_map(|n| {
        let point = ProjectivePoint::GENERATOR * Scalar::from(n.unsigned_abs());
        if n < 0 { -point } else { point }
    });
    let any = any::<u128>().prop_map(|n| ProjectivePoint::GENERATOR * Scalar::from(n.saturating_add(1)));
    prop_oneof![small, any]
}

fn affine(point: &ProjectivePoint) -> Affine {
    use k256::elliptic_curve::sec1::ToSec1Point;
    let bytes = point.to_affine().to_sec1_point(false);
    let coordinate = |bytes: &[u8]| Field::from_bytes(bytes.try_into().unwrap()).unwrap();
    Affine { x: coordinate(&bytes.as_bytes()[1..33]), y: coordinate(&bytes.as_bytes()[33..]) }
}

fn same(ours: Jacobian, theirs: &ProjectivePoint) -> bool {
    match ours.to_affine() {
        Some(point) => !bool::from(theirs.is_identity()) && point == affine(theirs),
        None => bool::from(theirs.is_identity()),
    }
}

/// The same point with another `z`.
fn scaled(point: Affine) -> Jacobian {
    let five = Jacobian::from(Affine::GENERATOR).double().double().add_affine(Affine::GENERATOR);
    Jacobian::from(point).add(five).add(five.negate_if(true))
}

/// What the given columns of a comb add up to for a number, seen from the lowest of them.
fn part_of(number: Odd, teeth: usize, spacing: usize, columns: std::ops::Range<usize>) -> Scalar {
    let lowest = columns.start;
    let places = columns.flat_map(|column| (0..teeth).map(move |tooth| tooth * spacing + column));
    let sum: Scalar = places
        .map(|place| {
            let size = (lowest..place).fold(Scalar::ONE, |size, _| size + size);
            let positive = place + 1 == teeth * spacing || place < 128 && number.half >> place & 1 == 1;
            if positive { size } else { -size }
        })
        .sum();
    if number.negative { -sum } else { sum }
}

proptest! {
    #[test]
    fn field_operations_are_those_of_the_numbers(a in numbers(), b in numbers()) {
        let (x, y) = (field(a), field(b));
        let (a, b) = (a.reduce_mod(PRIME), b.reduce_mod(PRIME));
        prop_assert_eq!(number(x), a);
        prop_assert_eq!(number(x.add(y)), a.add_mod(b, PRIME));
        prop_assert_eq!(number(x.sub(y)), a.add_mod(PRIME - b, PRIME));
        prop_assert_eq!(number(x.negate()), (PRIME - a).reduce_mod(PRIME));
        prop_assert_eq!(number(x.mul(y)), a.mul_mod(b, PRIME));
        prop_assert_eq!(number(x.square()), a.mul_mod(a, PRIME));
        prop_assert_eq!(number(x.double()), a.add_mod(a, PRIME));
        prop_assert_eq!(x.is_zero(), a.is_zero());
        prop_assert_eq!(x.is_odd(), a.bit(0));
        prop_assert_eq!(x == y, a == b);
        // Results that are not in their least form go through the same operations.
        prop_assert_eq!(number(x.sub(y).mul(x.add(y))), number(x.square().sub(y.square())));
    }

    #[test]
    fn wide_operations_are_those_of_one(a in vec(numbers(), LANES), b in vec(numbers(), LANES)) {
        fn one_by_one([a, b]: [[Field; LANES]; 2]) -> [[Field; LANES]; 4] {
            let each = |operation: fn(Field, Field) -> Field| std::array::from_fn(|lane| operation(a[lane], b[lane]));
            [
                each(Field::mul),
                each(|a, _| a.square()),
                each(Field::sub),
                each(|a, b| a.sub(b).square().mul(a.mul(b))),
            ]
        }
        let input = [&a, &b].map(|numbers| std::array::from_fn(|lane| field(numbers[lane])));
        let of_best = || {
            choose(
                input,
                #[cfg(target_arch = "x86_64")]
                super::wide::avx512::operations,
                #[cfg(target_arch = "x86_64")]
                super::wide::avx2::operations,
                one_by_one,
            )
        };
        for wide in with_each(|_| of_best()) {
            prop_assert_eq!(wide, one_by_one(input));
        }
    }

    #[test]
    fn pairs_are_added_alike_one_by_one_and_together(
        // Few different points, which are added one by one; or many, which are added together.
        points in prop_oneof![vec(points(), 16..80), vec(1_u128.., 16..80).prop_map(|factors| {
            factors.into_iter().map(|factor| ProjectivePoint::GENERATOR * Scalar::from(factor)).collect()
        })],
    ) {
        let points: Vec<Affine> = points.iter().map(affine).collect();
        let pairs: Vec<usize> = (0..points.len() / 2).map(|pair| 2 * pair).collect();
        let together = |_| {
            let mut sums = Vec::new();
            Pairs::default().add(&points, &pairs, &mut sums);
            sums
        };
        for sums in with_each(together) {
            prop_assert_eq!(sums.len(), pairs.len());
            for (&pair, sum) in pairs.iter().zip(sums) {
                prop_assert_eq!(Jacobian::from(points[pair]).add_affine(points[pair + 1]).to_affine(), sum);
            }
        }
    }

    #[test]
    fn an_inverse_and_a_root_are_what_they_say(a in numbers()) {
        let x = field(a);
        prop_assert_eq!(x.invert().mul(x) == Field::ONE, !x.is_zero());
        prop_assert!(!x.is_zero() || x.invert().is_zero());
        let both = [x.square(), x];
        let [root, other] = portable_roots(both);
        for together in with_each(|_| roots(std::array::from_fn(|lane| both[lane % 2]))) {
            prop_assert!(together.iter().zip([root, other].iter().cycle()).all(|(a, b)| a == b));
        }
        prop_assert!(root == x || root == x.negate());
        let exponent: U256 = (PRIME + U256::from(1)) >> 2;
        prop_assert_eq!(number(other), a.reduce_mod(PRIME).pow_mod(exponent, PRIME));
    }

    #[test]
    fn bytes_are_numbers_below_the_prime(a in numbers()) {
        prop_assert_eq!(Field::from_bytes(&a.to_be_bytes()).map(number), (a < PRIME).then_some(a));
    }

    #[test]
    fn sums_of_points_are_k256s(a in points(), b in points()) {
        let (p, q) = (affine(&a), affine(&b));
        prop_assert!(same(Jacobian::from(p).add_affine(q), &(a + b)));
        prop_assert!(same(scaled(p).add_affine(q), &(a + b)));
        prop_assert!(same(scaled(p).add(scaled(q)), &(a + b)));
        prop_assert!(same(scaled(p).double(), &a.double()));
        prop_assert!(same(scaled(p).endomorphism(), &(a * lambda())));
        prop_assert!(same(Jacobian::INFINITY.add(scaled(p)), &a));
        prop_assert!(same(scaled(p).add(Jacobian::INFINITY), &a));
    }

    #[test]
    fn a_point_is_found_by_its_x_and_parity(a in points(), odd: bool, x in numbers()) {
        let point = affine(&a);
        prop_assert_eq!(Affine::decompress(point.x, point.y.is_odd()), Some(point));
        prop_assert_eq!(Affine::decompress(point.x, !point.y.is_odd()), Some(point.negate()));
        use k256::elliptic_curve::point::DecompressPoint;
        let theirs = k256::AffinePoint::decompress(&field(x).to_bytes().into(), u8::from(odd).into()).into_option();
        let theirs = theirs.map(|point| affine(&point.into()));
        prop_assert_eq!(Affine::decompress(field(x), odd), theirs);
        prop_assert_eq!(Affine::decompress_together([(field(x), odd); LANES]), [theirs; LANES]);
    }

    #[test]
    fn halves_make_the_whole(scalar in scalars()) {
        let [a, b] = split(&scalar).map(|half| {
            assert!(half.size >> 127 == 0 || half.size < (u128::MAX / 100) * 64);
            let size = Scalar::from(half.size);
            if half.negative { -size } else { size }
        });
        prop_assert_eq!(a + b * lambda(), scalar);
    }

    #[test]
    fn odd_halves_make_the_whole(scalar in scalars()) {
        let [a, b] = split_odd(&scalar).map(|Odd { negative, half }| {
            assert!(half < u128::MAX / 100 * 96);
            let size = Scalar::from(half) + Scalar::from(half) + Scalar::ONE;
            if negative { -size } else { size }
        });
        prop_assert_eq!(a + b * lambda(), scalar);
    }

    #[test]
    fn an_inverse_of_a_scalar_is_k256s(scalar in scalars()) {
        prop_assert_eq!(invert(&scalar), scalar.invert().into_option().unwrap_or(Scalar::ZERO));
    }

    #[test]
    fn points_become_affine_together_as_alone(points in vec(prop::option::of(points()), 0..20)) {
        let points: Vec<_> =
            points.iter().map(|point| point.map_or(Jacobian::INFINITY, |point| scaled(affine(&point)))).collect();
        let mut together = Vec::new();
        Jacobian::to_affine_together(&points, &mut together);
        prop_assert_eq!(together, points.into_iter().map(Jacobian::to_affine).collect::<Vec<_>>());
    }

    #[test]
    fn combinations_are_k256s(terms in vec((scalars(), scalars(), (any::<u128>(), any::<bool>())), 1..=LANES)) {
        let point = |n: u128| ProjectivePoint::GENERATOR * Scalar::from(n.saturating_add(1 << 64));
        let points: Vec<_> = terms.iter().map(|(_, _, (n, _))| point(*n)).collect();
        let comb = |key, is_frequent| if is_frequent { Comb::of_frequent_signer(key) } else { Comb::of_signer(key) };
        let combs: Vec<_> =
            points.iter().zip(&terms).map(|(point, (_, _, (_, is_frequent)))| comb(affine(point), *is_frequent)).collect();
        let combinations: Vec<_> = terms
            .iter()
            .zip(&combs)
            .map(|((generator, factor, _), comb)| Combination { generator: *generator, factor: *factor, comb })
            .collect();
        let theirs: Vec<_> =
            terms.iter().zip(&points).map(|((a, b, _), point)| ProjectivePoint::GENERATOR * a + *point * b).collect();
        for ways in with_each(|_| {
            [sums, side_by_side].map(|sum| {
                let mut ours = Vec::new();
                sum(&combinations, &mut ours);
                ours
            })
        }) {
            for ours in ways {
                prop_assert_eq!(ours.len(), theirs.len());
                prop_assert!(ours.into_iter().zip(&theirs).all(|(ours, theirs)| same(ours, theirs)));
            }
        }
    }

    /// A point whose own part of the sum is, halfway, just the generator's digit that is added next, or its opposite.
    #[test]
    fn a_point_that_meets_the_generator_is_never_summed_wrongly(
        a in scalars(),
        b in scalars(),
        // More than four go a lane each; two halves of fewer go apart.
        (in_one_lane, opposite) in any::<(bool, bool)>(),
        others in vec(1_u128 << 64.., 0..LANES),
    ) {
        let [first, second] = split_odd(&b).map(|half| part_of(half, 6, 22, 11..22));
        let next = part_of(split_odd(&a)[0], 11, 12, 11..12);
        let own = if in_one_lane { first + second * lambda() } else { first };
        let key = next * own.invert().unwrap();
        let keys: Vec<Scalar> = [if opposite { -key } else { key }].into_iter().chain(others.into_iter().map(Scalar::from)).collect();
        let points: Vec<_> = keys.iter().map(|key| ProjectivePoint::GENERATOR * key).collect();
        let combs: Vec<_> = points.iter().map(|point| Comb::of_signer(affine(point))).collect();
        let combinations: Vec<_> = combs.iter().map(|comb| Combination { generator: a, factor: b, comb }).collect();
        let theirs: Vec<_> = keys.iter().map(|key| ProjectivePoint::GENERATOR * (a + b * key)).collect();
        with_each(|vectors| {
            let mut ours = Vec::new();
            sums(&combinations, &mut ours);
            let lanes = match (vectors, in_one_lane) {
                (Vectors::None, _) => 0..=0,
                (_, true) => 5..=LANES,
                (Vectors::Four, false) => 4..=4,
                (Vectors::Eight, false) => 3..=4,
            };
            for (number, (ours, theirs)) in ours.into_iter().zip(&theirs).enumerate() {
                // In lanes it says that it does not know.
                if number == 0 && lanes.contains(&keys.len()) {
                    assert!(ours.is_infinity());
                } else {
                    assert!(same(ours, theirs));
                }
            }
        });
    }

    #[test]
    fn two_products_are_k256s(a in scalars(), b in scalars(), point in points()) {
        let ours = generator_and_point(&a, &b, affine(&point));
        prop_assert!(same(ours, &(ProjectivePoint::GENERATOR * a + point * b)));
    }

    #[test]
    fn sums_of_products_are_k256s(terms in vec((points(), any::<u128>(), 0_u32..128), 0..150)) {
        // Factors of every length, for every width of digits.
        let terms: Vec<_> = terms.into_iter().map(|(point, factor, shift)| (point, factor >> shift)).collect();
        let theirs: ProjectivePoint = terms.iter().map(|(point, factor)| *point * Scalar::from(*factor)).sum();
        let ours: Vec<_> = terms.iter().map(|(point, factor)| (affine(point), *factor)).collect();
        for sum in with_each(|_| Summer::default().sum(&ours)) {
            prop_assert!(same(sum, &theirs));
        }
    }
}

#[test]
fn what_cancels_sums_to_nothing() {
    let mut summer = Summer::default();
    for size in [1, 2, 3, 10, 100, 1_000, 5_000] {
        let terms: Vec<_> = (0..size)
            .flat_map(|_| {
                let (point, scalar) = (affine(&ProjectivePoint::generate()), Scalar::generate());
                let [a, b] = halves(&scalar, point);
                let [c, d] = halves(&-scalar, point);
                [a, b, c, d]
            })
            .collect();
        assert!(summer.sum(&terms).is_infinity());
        assert!(!summer.sum(&terms[1..]).is_infinity());
    }
    assert!(summer.sum(&[]).is_infinity());
}

#[test]
fn equal_points_and_equal_factors_are_added_too() {
    // Every term falls into the same buckets, half of them with the other sign.
    let generator = Affine::GENERATOR;
    for factor in [1, 0x80, 0x8080_8080, u128::MAX, u128::MAX / 3] {
        let terms: Vec<_> = (0..1_000).map(|i| (generator.negate_if(i % 4 == 3), factor)).collect();
        let theirs = ProjectivePoint::GENERATOR * (Scalar::from(factor) * Scalar::from(500_u64));
        assert!(same(Summer::default().sum(&terms), &theirs));
    }
}
