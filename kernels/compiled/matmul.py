def gemm(team, c, a, b, alpha, beta):
    part, parts = team
    M, N = c.shape
    K = a.shape[1]
    for i in range(M * part // parts, M * (part + 1) // parts):
        for j in range(N):
            total = alpha * 0
            for k in range(K):
                total += a[i, k] * b[k, j]
            c[i, j] = alpha * total if beta == 0 else alpha * total + beta * c[i, j]
