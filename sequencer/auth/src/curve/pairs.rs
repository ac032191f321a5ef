//! Sums of many pairs of points, all by one inversion.
//!
//! Adding two affine points takes a division. Many divisions are one inversion and three multiplications each (Montgomery's
//! trick), so that a sum costs 5 multiplications and a squaring, where Jacobian coordinates take 8 and 3.

use super::field::Field;
use super::point::Affine;
use crate::processor::choose;

/// Adds points in pairs; keeps its memory from one time to the next.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// For each pair, the product of the denominators of the pairs behind it.
    products: Vec<Field>,
    #[cfg(target_arch = "x86_64")]
    wide_products: super::wide::Products,
}

/// What is to be added, and room for it.
pub(super) struct Job<'a> {
    pub(super) points: &'a [Affine],
    /// The first of the two neighbours of each pair.
    pub(super) pairs: &'a [usize],
    /// The sum of each pair; none for the point at infinity.
    pub(super) sums: &'a mut Vec<Option<Affine>>,
    products: &'a mut Vec<Field>,
    #[cfg(target_arch = "x86_64")]
    pub(super) wide_products: &'a mut super::wide::Products,
}

impl Pairs {
    /// Room for so many pairs.
    pub(super) fn reserve(&mut self, pairs: usize) {
        self.products.clear();
        self.products.reserve(pairs);
        #[cfg(target_arch = "x86_64")]
        self.wide_products.reserve(pairs);
    }

    /// Appends the sum of each pair of neighbours.
    pub(super) fn add(&mut self, points: &[Affine], pairs: &[usize], sums: &mut Vec<Option<Affine>>) {
        if pairs.is_empty() {
            return;
        }
        let job = Job {
            points,
            pairs,
            sums,
            products: &mut self.products,
            #[cfg(target_arch = "x86_64")]
            wide_products: &mut self.wide_products,
        };
        // A point and itself or its opposite are seldom: if somebody sends the same signature many times. They are added
        // by what knows them.
        if pairs.len() < FEW || pairs.iter().any(|&pair| points[pair].x == points[pair + 1].x) {
            return add(job);
        }
        choose(
            job,
            #[cfg(target_arch = "x86_64")]
            super::wide::avx512::add,
            #[cfg(target_arch = "x86_64")]
            super::wide::avx2::add,
            add,
        );
    }
}

/// So few pairs are added faster one by one.
const FEW: usize = 8;

pub(super) fn add(job: Job<'_>) {
    let Job { points, pairs, sums, products, .. } = job;
    products.clear();
    let mut product = Field::ONE;
    for &pair in pairs.iter().rev() {
        products.push(product);
        product = product.mul(denominator(points[pair], points[pair + 1]));
    }
    let mut inverse = product.invert();
    for &pair in pairs {
        let (a, b) = (points[pair], points[pair + 1]);
        let product = products.pop().expect("as many pairs as on the way back");
        sums.push(sum(a, b, inverse.mul(product)));
        inverse = inverse.mul(denominator(a, b));
    }
}

/// What the slope of the line through two points is divided by; 1 where no line is needed, because they cancel.
#[inline(always)]
fn denominator(a: Affine, b: Affine) -> Field {
    let width = b.x.sub(a.x);
    if !width.is_zero() {
        width
    } else if a.y == b.y {
        a.y.double()
    } else {
        Field::ONE
    }
}

/// The sum, by `1 / denominator`; none for the point at infinity.
#[inline(always)]
fn sum(a: Affine, b: Affine, inverse: Field) -> Option<Affine> {
    let height = b.y.sub(a.y);
    let width = b.x.sub(a.x);
    let slope = if !width.is_zero() {
        height.mul(inverse)
    } else if height.is_zero() {
        let square = a.x.square();
        square.double().add(square).mul(inverse)
    } else {
        return None;
    };
    let x = slope.square().sub(a.x).sub(b.x);
    let y = slope.mul(a.x.sub(x)).sub(a.y);
    Some(Affine { x, y })
}
