"""The Frechet distance between two sets of features."""

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.floating]
"""A feature vector of each image, float ``[N, F]``."""


def frechet_distance(a: Features, b: Features) -> float:
    """Return the squared Frechet distance between Gaussians fitted to features ``[N, F]`` and ``[M, F]``.

    It is ``|mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2))`` with the covariances A and B (Heusel et al. 2017, equation 6). The
    trace of the root is the sum of the roots of the eigenvalues of ``A^(1/2) B A^(1/2)``: this matrix is symmetric, so its
    eigenvalues are real.
    """
    covariance_a, covariance_b = (np.cov(features.astype(np.float64), rowvar=False) for features in (a, b))
    shift = a.mean(0, dtype=np.float64) - b.mean(0, dtype=np.float64)
    values, vectors = np.linalg.eigh(covariance_a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ covariance_b @ root).clip(0)).sum()
    return float(shift @ shift + np.trace(covariance_a) + np.trace(covariance_b) - 2 * overlap)
