//! The algorithms that are understood, and what verifies a signature. Pure.
//!
//! AWS-LC does the mathematics, without a crate for tokens in between: those that there are know no ES512 or build the
//! key anew for every signature, and what they add beyond that is what must not be left to them here, the choice of
//! the algorithm. A [`Verifier`] is one key for one algorithm, so there is nothing that a token could choose.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};

/// The lengths of an RSA modulus, in bits. NIST SP 800-131A allows no shorter one, and a longer one than AWS-LC takes
/// would only make clients wait.
const RSA_MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The longest public exponent, in bytes. Real ones have three.
const RSA_EXPONENT_BYTES_MAX: usize = 8;

/// An asymmetric signature algorithm (RFC 7518, 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the standard's")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The algorithm of this name. `none`, the symmetric ones and unknown names have none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        // RFC 9864 gives EdDSA with Ed25519 a name of its own.
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Its name in a token's header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::Es512 | Self::EdDsa => return None,
        })
    }
}

/// A curve with one signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the standard's")]
pub enum Curve {
    P256,
    P384,
    P521,
    Ed25519,
}

impl Curve {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::P256, Self::P384, Self::P521, Self::Ed25519];

    /// How many bytes a coordinate has.
    #[must_use]
    pub const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 | Self::Ed25519 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn algorithm(self) -> (Algorithm, &'static dyn VerificationAlgorithm) {
        // "Fixed" is r and s with a fixed width each, as RFC 7518 wants it, and never their DER form.
        match self {
            Self::P256 => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED),
            Self::P384 => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED),
            Self::P521 => (Algorithm::Es512, &ECDSA_P521_SHA512_FIXED),
            Self::Ed25519 => (Algorithm::EdDsa, &ED25519),
        }
    }
}

/// One public key for one algorithm.
#[derive(Clone)]
pub struct Verifier {
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

impl Verifier {
    /// The verifiers of an RSA key, given as unsigned big-endian numbers; none when it is too short, too long or known
    /// to be weak.
    #[must_use]
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<Self> {
        let (n, e) = (without_zeros(modulus), without_zeros(exponent));
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !RSA_MODULUS_BITS.contains(&bits) || e.len() > RSA_EXPONENT_BYTES_MAX || is_made_of_powers(n) {
            return Vec::new();
        }
        let components = RsaPublicKeyComponents { n, e };
        let verifier = |algorithm: Algorithm| {
            Some(Self { algorithm, key: components.to_parsed_public_key(algorithm.rsa()?).ok()? })
        };
        Algorithm::ALL.into_iter().filter_map(verifier).collect()
    }

    /// The verifier of a key on a curve, given as a point (SEC 1; RFC 8032) or as a `SubjectPublicKeyInfo` (RFC 5280)
    /// of this curve. A point that is not on it is no key.
    #[must_use]
    pub fn on_curve(curve: Curve, key: &[u8]) -> Option<Self> {
        let (algorithm, verification) = curve.algorithm();
        Some(Self { algorithm, key: ParsedPublicKey::new(verification, key).ok()? })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is this key's of `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verifier").field(&self.algorithm).finish()
    }
}

/// DER and some issuers put a zero before a number whose first bit is set.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Whether a modulus is one of those that a widespread library made until 2017 and that can be factored ("ROCA",
/// CVE-2017-15361): its primes, and so their product, are powers of 65,537 modulo every small prime. Of other keys one
/// in a hundred million is.
fn is_made_of_powers(modulus: &[u8]) -> bool {
    let is_prime = |number: u32| (2..number).all(|divisor| !number.is_multiple_of(divisor));
    (3..=167).filter(|number| is_prime(*number)).all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let powers = std::iter::successors(Some(1), |power| Some(power * (65_537 % prime) % prime));
        // There are fewer powers than numbers below the prime before they repeat.
        powers.take(prime as usize).any(|power| power == rest)
    })
}
