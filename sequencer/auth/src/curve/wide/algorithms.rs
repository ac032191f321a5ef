//! What is done with eight numbers side by side, whatever vectors hold them.
//!
//! A combination has four parts (two halves of two factors), or eight, if columns are divided too. Eight combinations take a
//! lane each; fewer take two, four or eight, and their lanes are added up in the end.
//!
//! All lanes take the same steps. Only a point that meets itself or its opposite would take others: there the line between both has
//! no width, and `z` is zero from then on. What has such a lane is not known.

/// Writes the functions for the `Wide` of the module that calls it, with the processor's features, and the list of
/// [`Products`](super::Products) that is its own.
macro_rules! algorithms {
    ($features:literal, $products:ident) => {
        use super::super::comb::{Comb, Combination, Digit, GENERATOR};
        use super::super::pairs::Job;
        use super::super::point::{BETA, Jacobian};
        use super::{Part, both, entries, invert, together};

        /// What [`super::super::field::roots`] gives for each.
        #[target_feature(enable = $features)]
        pub(in super::super) fn roots(values: [Field; LANES]) -> [Field; LANES] {
            let x = Wide::from_fields(values.each_ref());
            let x2 = x.squares(1).mul(&x);
            let x3 = x2.squares(1).mul(&x);
            let x6 = x3.squares(3).mul(&x3);
            let x9 = x6.squares(3).mul(&x3);
            let x11 = x9.squares(2).mul(&x2);
            let x22 = x11.squares(11).mul(&x11);
            let x44 = x22.squares(22).mul(&x22);
            let x88 = x44.squares(44).mul(&x44);
            let x176 = x88.squares(88).mul(&x88);
            let x220 = x176.squares(44).mul(&x44);
            let x223 = x220.squares(3).mul(&x3);
            x223.squares(23).mul(&x22).squares(6).mul(&x2).squares(2).fields()
        }

        /// What [`super::super::pairs::add`] does, for pairs of which none has one `x` twice.
        #[target_feature(enable = $features)]
        pub(in super::super) fn add(job: Job<'_>) {
            let Job { points, pairs, sums, wide_products, .. } = job;
            let products = &mut wide_products.$products;
            products.clear();
            let mut product = Wide::from_fields([&Field::ONE; LANES]);
            for group in pairs.chunks(LANES).rev() {
                products.push(product);
                let (a, b) = both(points, group);
                product = product.mul(&Wide::xs(b).sub(&Wide::xs(a)));
            }
            let mut inverse = Wide::from_fields(invert(product.fields()).each_ref());
            for group in pairs.chunks(LANES) {
                let (a, b) = both(points, group);
                let (ax, ay, bx, by) = (Wide::xs(a), Wide::ys(a), Wide::xs(b), Wide::ys(b));
                let product = products.pop().expect("as many groups as on the way back");
                let slope = by.sub(&ay).mul(&inverse.mul(&product));
                inverse = inverse.mul(&bx.sub(&ax));
                let x = slope.square().less_both::<0>(&ax, &bx);
                let y = slope.mul(&ax.sub(&x)).sub(&ay);
                let (xs, ys) = (x.fields(), y.fields());
                for ((x, y), _) in xs.into_iter().zip(ys).zip(group) {
                    sums.push(Some(Affine { x, y }));
                }
            }
        }

        /// Appends up to eight sums; infinity for one that is not known.
        #[target_feature(enable = $features)]
        pub(in super::super) fn sums((combinations, sums): (&[Combination<'_>], &mut Vec<Jacobian>)) {
            let mut digits = [[[[Digit::default(); Comb::MOST_COLUMNS]; 2]; 2]; LANES];
            for (digits, combination) in digits.iter_mut().zip(combinations) {
                *digits = combination.digits();
            }
            // Lanes of a combination, of which each goes through the parts that are left.
            let each = LANES / combinations.len().next_power_of_two();
            let part = |pass: usize, lane: usize| {
                // The last stands in for those that are missing.
                let (index, number) = ((lane / each).min(combinations.len() - 1), pass * each + lane % each);
                let comb = if number & 2 == 0 { combinations[index].comb } else { &*GENERATOR };
                let digits = &digits[index][number >> 1 & 1][number & 1][..comb.columns()];
                let (low, high) = digits.split_at(comb.columns() / 2);
                let digits = match (each == LANES, number & 4 == 0) {
                    (false, _) => digits,
                    (true, true) => low,
                    (true, false) => high,
                };
                Part { comb, digits }
            };
            let passes = (4 / each).max(1);
            let parts: [[_; LANES]; 4] =
                std::array::from_fn(|pass| std::array::from_fn(|lane| part(pass % passes, lane)));
            let lanes = walk(&parts[..passes], each == 1).to_jacobians();
            sums.extend(
                lanes.chunks_exact(each).zip(combinations).map(|(lanes, of)| together(lanes, of.comb.columns())),
            );
        }

        /// Adds up the parts of each lane; a lane begins with the highest digit of its first part. Every second part is that of a
        /// factor's second half, which counts `λ` times if `alternate` says so.
        #[target_feature(enable = $features)]
        fn walk(passes: &[[Part<'_>; LANES]], alternate: bool) -> Points {
            let beta = Wide::from_fields([&BETA; LANES]);
            let one = Wide::from_fields([&Field::ONE; LANES]);
            let mut sum = Points { x: one, y: one, z: one };
            let columns = passes[0].iter().map(|part| part.digits.len()).max().unwrap_or(0);
            for column in (0..columns).rev() {
                if column + 1 < columns {
                    sum = sum.double();
                }
                for (pass, parts) in passes.iter().enumerate() {
                    if parts.iter().all(|part| part.digits.len() <= column) {
                        continue;
                    }
                    let (points, negative) = entries(parts, column);
                    let (mut x, y) = (Wide::xs(points), Wide::ys(points).negate_where(negative));
                    if alternate && pass % 2 == 1 {
                        x = x.mul(&beta);
                    }
                    let begins = |part: &Part<'_>| part.digits.len() == column + 1;
                    let first = parts.iter().rev().fold(0, |mask, part| mask << 1 | u8::from(begins(part)));
                    let first = if pass == 0 { first } else { 0 };
                    if first != u8::MAX {
                        sum = sum.add(&x, &y);
                    }
                    if first != 0 {
                        sum = Points { x: sum.x.set(first, &x), y: sum.y.set(first, &y), z: sum.z.set(first, &one) };
                    }
                }
            }
            sum
        }

        /// Eight points `(x/z², y/z³)`.
        #[derive(Clone, Copy)]
        struct Points {
            x: Wide,
            y: Wide,
            z: Wide,
        }

        impl Points {
            #[target_feature(enable = $features)]
            fn to_jacobians(self) -> [Jacobian; LANES] {
                let (xs, ys, zs) = (self.x.fields(), self.y.fields(), self.z.fields());
                std::array::from_fn(|lane| Jacobian { x: xs[lane], y: ys[lane], z: zs[lane] })
            }

            /// [`Jacobian::double`].
            #[inline]
            #[target_feature(enable = $features)]
            fn double(&self) -> Self {
                let (xx, yy) = (self.x.square(), self.y.square());
                let z = self.y.mul(&self.z).more::<0>();
                let m = xx.more::<1>();
                let quarter = self.x.mul(&yy);
                let x = m.square().less::<0, 3>(&quarter);
                let y = m.mul(&quarter.less::<2, 0>(&x)).less::<0, 3>(&yy.square());
                Self { x, y, z }
            }

            /// [`Jacobian::add_affine`].
            #[inline]
            #[target_feature(enable = $features)]
            fn add(&self, x: &Wide, y: &Wide) -> Self {
                let zz = self.z.square();
                let width = x.mul(&zz).sub(&self.x);
                let height = y.mul(&zz.mul(&self.z)).sub(&self.y);
                let square = width.square();
                let cube = square.mul(&width);
                let middle = self.x.mul(&square);
                let sum_x = height.square().less_both::<1>(&middle, &cube);
                let sum_y = height.mul(&middle.sub(&sum_x)).sub(&self.y.mul(&cube));
                Self { x: sum_x, y: sum_y, z: self.z.mul(&width) }
            }
        }

        impl Wide {
            #[inline]
            #[target_feature(enable = $features)]
            fn xs(points: [&Affine; LANES]) -> Self {
                let [a, b, c, d, e, f, g, h] = points;
                Self::from_fields([&a.x, &b.x, &c.x, &d.x, &e.x, &f.x, &g.x, &h.x])
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn ys(points: [&Affine; LANES]) -> Self {
                let [a, b, c, d, e, f, g, h] = points;
                Self::from_fields([&a.y, &b.y, &c.y, &d.y, &e.y, &f.y, &g.y, &h.y])
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn sub(&self, other: &Self) -> Self {
                self.less::<0, 0>(other)
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn squares(&self, times: usize) -> Self {
                let mut power = *self;
                for _ in 0..times {
                    power = power.square();
                }
                power
            }
        }

        /// Product, square of the first, difference, and the square of the difference times the product, for tests.
        #[cfg(test)]
        #[target_feature(enable = $features)]
        pub(in super::super) fn operations([a, b]: [[Field; LANES]; 2]) -> [[Field; LANES]; 4] {
            let (a, b) = (Wide::from_fields(a.each_ref()), Wide::from_fields(b.each_ref()));
            let (product, difference) = (a.mul(&b), a.sub(&b));
            let all = [product, a.square(), difference, difference.square().mul(&product)];
            all.map(|wide| wide.fields())
        }
    };
}
