//! Points of secp256k1: `y² = x³ + 7` over [`Field`].
//!
//! Formulas of the Explicit-Formulas Database for `a = 0`, with the cases that they leave out written down: a sum with
//! itself, with its opposite, and with nothing. The curve has an odd number of points, so that no `y` is zero.

use super::field::{Field, LANES, portable_roots, roots};

/// `λ·(x, y) = (β·x, y)`: one multiplication stands for one of 128 doublings and more.
pub(super) const BETA: Field =
    Field::from_limbs([0xc139_6c28_7195_01ee, 0x9cf0_4975_12f5_8995, 0x6e64_479e_ac34_34e9, 0x7ae9_6a2b_657c_0710]);

const SEVEN: Field = Field::from_limbs([7, 0, 0, 0]);

/// A point by its two coordinates; never the point at infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Affine {
    pub(crate) x: Field,
    pub(crate) y: Field,
}

impl Affine {
    pub(crate) const GENERATOR: Self = Self {
        x: Field::from_limbs([
            0x59f2_815b_16f8_1798,
            0x029b_fcdb_2dce_28d9,
            0x55a0_6295_ce87_0b07,
            0x79be_667e_f9dc_bbac,
        ]),
        y: Field::from_limbs([
            0x9c47_d08f_fb10_d4b8,
            0xfd17_b448_a685_5419,
            0x5da4_fbfc_0e11_08a8,
            0x483a_da77_26a3_c465,
        ]),
    };

    /// The point with this `x` and parity of `y`, if there is one.
    pub(crate) fn decompress(x: Field, odd: bool) -> Option<Self> {
        let square = Self::square_of_y(x);
        let [y] = portable_roots([square]);
        Self::with_root(x, odd, square, y)
    }

    /// [`Self::decompress`] of eight.
    pub(crate) fn decompress_together(compressed: [(Field, bool); LANES]) -> [Option<Self>; LANES] {
        let squares = compressed.map(|(x, _)| Self::square_of_y(x));
        let ys = roots(squares);
        std::array::from_fn(|lane| {
            let (x, odd) = compressed[lane];
            Self::with_root(x, odd, squares[lane], ys[lane])
        })
    }

    fn square_of_y(x: Field) -> Field {
        x.square().mul(x).add(SEVEN)
    }

    fn with_root(x: Field, odd: bool, square: Field, root: Field) -> Option<Self> {
        let y = if root.is_odd() == odd { root } else { root.negate() };
        (y.square() == square).then_some(Self { x, y })
    }

    #[inline]
    pub(crate) fn negate(self) -> Self {
        Self { x: self.x, y: self.y.negate() }
    }

    #[inline]
    pub(crate) fn negate_if(self, negative: bool) -> Self {
        if negative { self.negate() } else { self }
    }

    /// The product with λ.
    #[inline]
    pub(crate) fn endomorphism(self) -> Self {
        Self { x: self.x.mul(BETA), y: self.y }
    }
}

/// A point `(x/z², y/z³)`, which is added to without dividing; `z` of zero is the point at infinity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jacobian {
    pub(super) x: Field,
    pub(super) y: Field,
    pub(super) z: Field,
}

impl From<Affine> for Jacobian {
    fn from(point: Affine) -> Self {
        Self { x: point.x, y: point.y, z: Field::ONE }
    }
}

impl Jacobian {
    pub(crate) const INFINITY: Self = Self { x: Field::ONE, y: Field::ONE, z: Field::ZERO };

    #[inline]
    pub(crate) fn is_infinity(&self) -> bool {
        self.z.is_zero()
    }

    /// Nothing for the point at infinity.
    pub(crate) fn to_affine(self) -> Option<Affine> {
        (!self.is_infinity()).then(|| self.divided(self.z.invert()))
    }

    /// Appends what [`Self::to_affine`] says of each, by one inversion (Montgomery's trick).
    pub(crate) fn to_affine_together(points: &[Self], affine: &mut Vec<Option<Affine>>) {
        let first = affine.len();
        let mut product = Field::ONE;
        for point in points {
            if point.is_infinity() {
                affine.push(None);
                continue;
            }
            // Where the point will stand, the product of those before it waits.
            affine.push(Some(Affine { x: product, y: Field::ZERO }));
            product = product.mul(point.z);
        }
        let mut inverse = product.invert();
        for (point, affine) in points.iter().zip(&mut affine[first..]).rev() {
            if let Some(affine) = affine {
                *affine = point.divided(inverse.mul(affine.x));
                inverse = inverse.mul(point.z);
            }
        }
    }

    /// The point by `1/z`.
    fn divided(self, inverse: Field) -> Affine {
        let square = inverse.square();
        Affine { x: self.x.mul(square), y: self.y.mul(square.mul(inverse)) }
    }

    pub(crate) fn negate_if(self, negative: bool) -> Self {
        if negative { Self { y: self.y.negate(), ..self } } else { self }
    }

    pub(crate) fn endomorphism(self) -> Self {
        Self { x: self.x.mul(BETA), ..self }
    }

    /// 3 multiplications, 4 squarings, and short ways between them: `s = x·y²`, `m = 3·x²`, `x' = m² − 8·s`,
    /// `y' = m·(4·s − x') − 8·y⁴`, `z' = 2·y·z`.
    #[inline]
    pub(crate) fn double(self) -> Self {
        let (xx, yy) = (self.x.square(), self.y.square());
        let z = self.y.mul(self.z).double();
        let m = xx.double().add(xx);
        let s = self.x.mul(yy).double().double();
        let yyyy = yy.double().square().double();
        let x = m.square().sub(s.double());
        let y = m.mul(s.sub(x)).sub(yyyy);
        Self { x, y, z }
    }

    /// 8 multiplications, 3 squarings.
    pub(crate) fn add_affine(self, other: Affine) -> Self {
        if self.is_infinity() {
            return other.into();
        }
        let zz = self.z.square();
        let width = other.x.mul(zz).sub(self.x);
        let height = other.y.mul(zz.mul(self.z)).sub(self.y);
        self.chord(self.x, self.y, width, height, self.z)
    }

    /// 12 multiplications, 4 squarings.
    pub(crate) fn add(self, other: Self) -> Self {
        if self.is_infinity() {
            return other;
        }
        if other.is_infinity() {
            return self;
        }
        let (zz, other_zz) = (self.z.square(), other.z.square());
        let x = self.x.mul(other_zz);
        let y = self.y.mul(other_zz.mul(other.z));
        let width = other.x.mul(zz).sub(x);
        let height = other.y.mul(zz.mul(self.z)).sub(y);
        self.chord(x, y, width, height, self.z.mul(other.z))
    }

    /// The third point of a line that leaves `(x, y)` over `z` (the same point as `self`) by `width` and `height`.
    #[inline(always)]
    fn chord(self, x: Field, y: Field, width: Field, height: Field, z: Field) -> Self {
        if width.is_zero() {
            return if height.is_zero() { self.double() } else { Self::INFINITY };
        }
        let square = width.square();
        let cube = square.mul(width);
        let middle = x.mul(square);
        let sum_x = height.square().sub(cube).sub(middle.double());
        let sum_y = height.mul(middle.sub(sum_x)).sub(y.mul(cube));
        Self { x: sum_x, y: sum_y, z: z.mul(width) }
    }
}
