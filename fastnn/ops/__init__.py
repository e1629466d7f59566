"""Operations on tensors: each validates its arguments, runs kernels, and notes its gradient rules on the tape."""
