//! A small seeded generator: a run and its verdict can be computed again, bit by bit.

/// xoshiro256++ 1.0, seeded through SplitMix64 as its authors advise (Blackman and Vigna, <https://prng.di.unimi.it>).
/// Not for secrets.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The same seed gives the same numbers, on every machine.
    pub fn new(seed: u64) -> Self {
        let mut x = seed;
        let mut split_mix = || {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Self { state: [split_mix(), split_mix(), split_mix(), split_mix()] }
    }

    /// 64 uniform bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// A uniform whole number below `n`; 0 when `n` is 0. Lemire's multiply-shift without rejection: its bias is below
    /// `n / 2⁶⁴`, negligible against the noise of any sample.
    #[inline]
    pub fn below(&mut self, n: usize) -> usize {
        #[allow(clippy::cast_possible_truncation)] // the product's upper half is below n
        let out = ((u128::from(self.bits()) * n as u128) >> 64) as usize;
        out
    }

    /// Uniform in [0, 1), 53 bits.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True this often, 0 to 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Standard normal (Box–Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let u = 1.0 - self.unit(); // (0, 1]: the logarithm stays finite
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_and_xoshiro_give_the_published_numbers() {
        // SplitMix64 from seed 0 starts e220a8397b1dcdaf (its authors' reference); it fills the state.
        assert_eq!(Random::new(0).state[0], 0xe220_a839_7b1d_cdaf);
        // xoshiro256++ from the state 1, 2, 3, 4: the first two outputs of the reference code.
        let mut r = Random { state: [1, 2, 3, 4] };
        assert_eq!([r.bits(), r.bits()], [41_943_041, 58_720_359]);
    }

    #[test]
    fn moments() {
        let mut r = Random::new(7);
        let n = 200_000;
        let normal: f64 = (0..n).map(|_| r.normal().powi(2)).sum::<f64>() / f64::from(n);
        let exponential: f64 = (0..n).map(|_| r.exponential()).sum::<f64>() / f64::from(n);
        assert!((normal - 1.0).abs() < 0.02, "{normal}");
        assert!((exponential - 1.0).abs() < 0.02, "{exponential}");
        assert!((0..1000).all(|_| r.below(3) < 3));
        assert_eq!(r.below(0), 0);
    }
}
