// Batch Normalization on a GPU: the four loops of base.py, and the few numbers per channel that stand between them.
//
//     forward     moments         reads x                  count, mean and m2 of each block's part
//                 normalize       reads x, writes y        merges them, then y = scale * (x - center) + offset
//     backward    gradient_sums   reads dy and x           sum(dy) and sum(dy * (x - center)) of each block's part
//                 combine         reads both, writes dx    adds them up, then dx = scale * (dy + slope * (x - center)
//                                                                                             + shift)
//
// x is read a second time because no y is known before all of a channel has been seen, and a channel is larger than
// what one multiprocessor holds. Nothing else is read or written that grows with the batch. So time is bytes over
// bandwidth, if enough of them are on their way at any moment: a thread asks for TILE words of 16 bytes before it uses
// the first. The second kernel goes through memory backwards: what the first read last is still in the L2 cache.
//
// Every block that needs the result merges it itself: for a thread some dozen steps at most, where a kernel of its
// own would be a launch. Every block merges in the same order, so all of them get the same bits, and so does every run.
//
// How x is seen. A batch (N, C, S) lies in memory as `rows` of `columns` runs of `width` elements, and a thread block
// is given some columns and a part of the rows. There are two ways of seeing it, and no other difference between them:
//
//     images   rows = N   columns = C       width = S    a block has one channel; its threads lie along the run
//     narrow   rows = N   columns = C * S   width = 1    a block has a few columns; its threads lie across them
//
// In the second, a word of 16 bytes holds several columns, LANES of them, each with sums of its own. The S columns of a
// channel (its `positions`) meet when the parts are merged.
//
// The file needs no header, and no warp-level instruction: sums go through shared memory. So the same source is run on
// a CPU by the tests (tests/bn_lib/cuda_on_cpu).

using Index = long long;  // a batch may hold more than 2^31 elements

constexpr int THREADS = 256;  // of a block, a power of two
constexpr int TILE = 4;       // words that a thread has on their way at once
constexpr int BLOCKS = 3;     // that fit on a multiprocessor together, at least: bounds the registers of a thread

struct Layout {  // as with_cupy.py lays it out, in the same order
    Index rows, columns, width;
    Index words;      // of 16 bytes (or of one element) in a run
    Index chunk;      // words of a column, or of a group of LANES columns, for one block
    Index across;     // threads of a block that lie side by side, across the columns; a power of two
    Index positions;  // columns of a channel
};

// Types. Elements are read and written in the type of x; float16 and float32 are computed in float, float64 in double.
// CuPy compiles everything with -ftz=true: a float below 2^-126 counts as 0. Values of float16 are larger, and double
// keeps its own.

struct Half {
    unsigned short bits;
};

#ifdef __CUDACC__  // two instructions; cuda_fp16.h has them too, but not every installation has that file
__device__ inline float half_to_float(unsigned short bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}
__device__ inline unsigned short float_to_half(float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
#endif

template <typename T>
struct Computed {
    using type = T;
};
template <>
struct Computed<Half> {
    using type = float;
};

__device__ inline float wide(Half value) { return half_to_float(value.bits); }
__device__ inline float wide(float value) { return value; }
__device__ inline double wide(double value) { return value; }

__device__ inline void put(Half& to, float value) { to.bits = float_to_half(value); }
__device__ inline void put(float& to, float value) { to = value; }
__device__ inline void put(double& to, double value) { to = value; }

template <typename T, int WORD>
struct alignas(WORD * sizeof(T)) Word {  // what one instruction reads or writes
    T at[WORD];
};

// Vectors of one value per channel come in any floating-point type, told apart by its size in bytes.

__device__ inline double read(const void* from, Index size, Index i) {
    if (size == 2) return half_to_float(static_cast<const unsigned short*>(from)[i]);
    if (size == 4) return static_cast<const float*>(from)[i];
    return static_cast<const double*>(from)[i];
}

__device__ inline void write(void* to, Index size, Index i, double value) {
    if (size == 2) {
        static_cast<unsigned short*>(to)[i] = float_to_half(static_cast<float>(value));
    } else if (size == 4) {
        static_cast<float*>(to)[i] = static_cast<float>(value);
    } else {
        static_cast<double*>(to)[i] = value;
    }
}

// What a part of a channel comes to, and how two parts become one

struct Moments {
    double count, mean, m2;  // the mean is that of x - base, where base is the first value of the channel
};

// As Moments.merge: Chan, Golub and LeVeque (1979). The means are small numbers, because the base has been taken off
// them: a mean of 1e8 would leave a double no more than 1e-8.
__device__ inline void merge(Moments& a, const Moments& b) {
    if (b.count == 0) return;
    double count = a.count + b.count, delta = b.mean - a.mean, weight = b.count / count;
    a.mean += delta * weight;
    a.m2 += b.m2 + delta * delta * (a.count * weight);
    a.count = count;
}

struct Sums {
    double dy, dy_deviation;
};

__device__ inline void merge(Sums& a, const Sums& b) {
    a.dy += b.dy;
    a.dy_deviation += b.dy_deviation;
}

// The parts of a block's threads become one for each of the block's columns, in the first `across` threads: the upper
// half hands its parts to the lower half, again and again.
template <int LANES, typename Part>
__device__ void merge_threads(Part (&mine)[LANES], int across) {
    __shared__ Part upper[LANES][THREADS / 2];
    int thread = threadIdx.x;
    for (int half = THREADS / 2; half >= across; half /= 2) {
        if (half <= thread && thread < 2 * half) {
#pragma unroll
            for (int lane = 0; lane < LANES; ++lane) upper[lane][thread - half] = mine[lane];
        }
        __syncthreads();
        if (thread < half) {
#pragma unroll
            for (int lane = 0; lane < LANES; ++lane) merge(mine[lane], upper[lane][thread]);
        }
        __syncthreads();
    }
}

// The parts of all blocks become one for each column of this block, in the first `columns` threads, which must be a
// power of two. Threads share the work; a channel's positions are merged too.
template <typename Part>
__device__ void merge_blocks(Part (&mine)[1], const Part* parts, int splits, int columns, const Layout& in) {
    Index column = blockIdx.x * static_cast<Index>(columns) + threadIdx.x % columns;
    if (column < in.columns) {
        unsigned positions = static_cast<unsigned>(in.positions);
        const Part* channel = parts + (column - column % in.positions);
        for (unsigned i = threadIdx.x / columns; i < splits * positions; i += THREADS / columns)
            merge(mine[0], channel[i / positions * in.columns + i % positions]);
    }
    merge_threads(mine, columns);
}

// The way of a thread through its block's part of x

struct Place {
    Index at;       // the word begins at x[at]
    unsigned mine;  // bit j is set if x[at + j] is in the run
};

// Words of a part are numbered along the runs and then along the rows, and threads take them in turn. A step is a fixed
// number of rows and words, carried like minutes into hours, so that nothing is divided on the way.
struct Walk {
    Index left;  // words that this thread has yet to visit
    Index row;   // where the run begins
    Index word;  // which word of the run
    Index row_step, word_step, carry;
    bool back;

    __device__ Walk(const Layout& in, Index column, int thread, int threads, bool back) : back(back) {
        Index all = in.rows * in.words, start = blockIdx.y * in.chunk, stop = start + in.chunk;
        if (stop > all) stop = all;
        start += thread;
        left = column < in.columns && start < stop ? (stop - start + threads - 1) / threads : 0;
        carry = in.columns * in.width;
        row = column * in.width + start / in.words * carry;
        word = start % in.words;
        if (back) {
            row = column * in.width + (in.rows - 1 - start / in.words) * carry;
            carry = -carry;
        }
        row_step = threads / in.words * carry;
        word_step = threads % in.words;
    }

    // The word to visit now; one that holds nothing where none is left.
    //
    // Runs of a length that is no multiple of WORD (RAGGED) begin and end inside a word. The words at their ends are
    // read whole, and what belongs to the neighbours is left out. Such a word holds at least one element of x, and
    // a page of memory begins and ends with a word, so it is there to be read.
    template <int WORD, bool RAGGED>
    __device__ Place next(const Layout& in) {
        Index begin = RAGGED ? row & ~static_cast<Index>(WORD - 1) : row;
        Index at = begin + (back ? in.words - 1 - word : word) * WORD;
        Place place = {at, left > 0 ? (1u << WORD) - 1 : 0};
        if (RAGGED) {
            Index before = row - at, end = before + in.width;  // the run is elements before to end - 1 of the word
            if (before > 0) place.mine &= ~0u << before;
            if (end < WORD) place.mine &= end > 0 ? (1u << end) - 1 : 0;
        }
        --left;
        row += row_step;
        word += word_step;
        if (word >= in.words) {
            word -= in.words;
            row += carry;
        }
        return place;
    }
};

// TILE words of an array. All are asked for before any is used.
template <typename T, int WORD>
struct Tile {
    Word<T, WORD> words[TILE];

    __device__ void load(const T* x, const Place (&places)[TILE]) {
#pragma unroll
        for (int t = 0; t < TILE; ++t)
            if (places[t].mine) words[t] = *reinterpret_cast<const Word<T, WORD>*>(x + places[t].at);
    }
};

// Call visit(t, j) for the elements of a tile that belong to a lane.
template <int WORD, int LANES, bool RAGGED, typename Visit>
__device__ void each(const Place (&places)[TILE], int lane, Visit visit) {
#pragma unroll
    for (int t = 0; t < TILE; ++t) {
#pragma unroll
        for (int j = 0; j < WORD; j += LANES)
            if (RAGGED ? places[t].mine >> j & 1 : places[t].mine) visit(t, j + lane);
    }
}

// Call compute(t, j, result) for every element of a tile, and write the results.
template <int WORD, bool RAGGED, typename T, typename Compute>
__device__ void store(T* y, const Place (&places)[TILE], Compute compute) {
#pragma unroll
    for (int t = 0; t < TILE; ++t) {
        unsigned mine = places[t].mine;
        if (!mine) continue;
        Word<T, WORD> word;
#pragma unroll
        for (int j = 0; j < WORD; ++j) compute(t, j, word.at[j]);
        if (!RAGGED || mine == (1u << WORD) - 1) {
            *reinterpret_cast<Word<T, WORD>*>(y + places[t].at) = word;
        } else {
#pragma unroll
            for (int j = 0; j < WORD; ++j)
                if (mine >> j & 1) y[places[t].at + j] = word.at[j];
        }
    }
}

// Go through a block's part, and write compute(j, x) or compute(j, x, dy) for each element j of a word.
template <int WORD, bool RAGGED, typename T, typename Compute>
__device__ void each_word(Walk& walk, const Layout& in, const T* x, T* y, Compute compute) {
    while (walk.left > 0) {
        Place places[TILE];
#pragma unroll
        for (int t = 0; t < TILE; ++t) places[t] = walk.next<WORD, RAGGED>(in);
        Tile<T, WORD> tile;
        tile.load(x, places);
        store<WORD, RAGGED>(y, places,
                            [&](int t, int j, T& result) { put(result, compute(j, wide(tile.words[t].at[j]))); });
    }
}

template <int WORD, bool RAGGED, typename T, typename Compute>
__device__ void each_word(Walk& walk, const Layout& in, const T* x, const T* dy, T* dx, Compute compute) {
    while (walk.left > 0) {
        Place places[TILE];
#pragma unroll
        for (int t = 0; t < TILE; ++t) places[t] = walk.next<WORD, RAGGED>(in);
        Tile<T, WORD> tile, gradient;
        tile.load(x, places);
        gradient.load(dy, places);
        store<WORD, RAGGED>(dx, places, [&](int t, int j, T& result) {
            put(result, compute(j, wide(tile.words[t].at[j]), wide(gradient.words[t].at[j])));
        });
    }
}

// Sums over a tile are a few additions and are made in float; sums of tiles are made in double. That keeps the digits
// of float32 and spares the double-precision units, of which some GPUs have few. A product may be too large or too
// small for float where its factors are not; then the tile's sum is out of this range, and is made again in double.
template <typename Number>
__device__ bool held(Number products) {
    Number size = products < 0 ? -products : products;
    return sizeof(Number) == 8 || (size > Number(1e-25) && size < Number(3e38));
}

// The same of the numbers that stand between the loops: within LIMITS of _arrays.py nothing overflows in float, or loses
// digits, on the way to y or dx. A column that is not is computed in double, as the formula is written. double itself
// has no wider type: its limit is that squares must be numbers.
template <typename Number>
__device__ bool within(double value, double least, double most) {
    double size = value < 0 ? -value : value;
    return sizeof(Number) == 8 || (size >= least && size <= most);
}
constexpr double LEAST = 2e-38, MOST = 2e38, NEGLIGIBLE = 1e30;

struct Exact {  // a column that is out of range
    double gamma, mean, inv_std, beta, of_dy, of_dy_x_hat;
    bool needed;
};

// Forward

// The moments of each block's part: `parts` is (splits, columns).
//
// One pass, on shifted data: with d = x - center, sum(d) and sum(d * d) give the mean and the sum of squares about it
// (Chan, Golub and LeVeque, 1983, section 3). That costs digits where the center is far from the mean, measured in
// standard deviations. A thread's center is the mean of the first tile that it reads. These values are among those it
// sums, so their mean cannot be far from the mean of all: if they are a fraction p of them, at most
// sqrt((1 - p) / p) standard deviations.
template <typename T, int WORD, int LANES, bool RAGGED>
__global__ void __launch_bounds__(THREADS, BLOCKS)
    moments(const T* __restrict__ x, Moments* __restrict__ parts, Layout in) {
    using Number = typename Computed<T>::type;
    int across = static_cast<int>(in.across), thread = threadIdx.x;
    Index column = (blockIdx.x * in.across + thread % across) * LANES;
    Walk walk(in, column, thread / across, THREADS / across, false);

    Number center[LANES] = {};
    double count[LANES] = {}, sum[LANES] = {}, squares[LANES] = {};
    while (walk.left > 0) {
        Place places[TILE];
#pragma unroll
        for (int t = 0; t < TILE; ++t) places[t] = walk.next<WORD, RAGGED>(in);
        Tile<T, WORD> tile;
        tile.load(x, places);
#pragma unroll
        for (int lane = 0; lane < LANES; ++lane) {
            int seen = 0;
            if (count[lane] == 0) {  // from the first value, so that a constant is its own mean to the last bit
                double value = 0, rest = 0;
                each<WORD, LANES, RAGGED>(places, lane, [&](int t, int j) {
                    double here = wide(tile.words[t].at[j]);
                    if (seen++ == 0) value = here;
                    rest += here - value;
                });
                if (seen) center[lane] = static_cast<Number>(value + rest / seen);
                seen = 0;
            }
            Number tile_sum = 0, tile_squares = 0;
            each<WORD, LANES, RAGGED>(places, lane, [&](int t, int j) {
                Number d = wide(tile.words[t].at[j]) - center[lane];
                tile_sum += d;
                tile_squares += d * d;
                ++seen;
            });
            count[lane] += seen;
            if (held(tile_squares)) {
                sum[lane] += tile_sum;
                squares[lane] += tile_squares;
            } else {
                each<WORD, LANES, RAGGED>(places, lane, [&](int t, int j) {
                    double d = static_cast<double>(wide(tile.words[t].at[j])) - center[lane];
                    sum[lane] += d;
                    squares[lane] += d * d;
                });
            }
        }
    }

    Moments mine[LANES];
#pragma unroll
    for (int lane = 0; lane < LANES; ++lane) {
        mine[lane] = {0, 0, 0};
        if (count[lane] == 0) continue;
        Index first = (column + lane) / in.positions * in.positions;
        double base = wide(x[first * in.width]), mean = sum[lane] / count[lane];
        mine[lane] = {count[lane], (center[lane] - base) + mean, squares[lane] - sum[lane] * mean};
    }
    merge_threads(mine, across);
    if (thread < across && column < in.columns) {
#pragma unroll
        for (int lane = 0; lane < LANES; ++lane) parts[blockIdx.y * in.columns + column + lane] = mine[lane];
    }
}

// y, from one of two sources. With `parts`, those of `moments`: center, lost, m2 and inv_std are then written, in
// double. Without, center, lost and inv_std are read, and m2 is not used.
//
// center is the mean rounded to the type in which x - center is exact, and lost is what the rounding took from it.
template <typename T, int WORD, int LANES, bool RAGGED>
__global__ void __launch_bounds__(THREADS, BLOCKS)
    normalize(const T* __restrict__ x, T* __restrict__ y, const Moments* __restrict__ parts, Index splits, double eps,
              void* center, Index center_size, double* lost, double* m2, double* inv_std, const void* gamma,
              Index gamma_size, const void* beta, Index beta_size, Layout in) {
    using Number = typename Computed<T>::type;
    __shared__ Number centers[THREADS], scales[THREADS], offsets[THREADS];
    __shared__ Exact exact[sizeof(Number) == 8 ? 1 : THREADS];
    __shared__ int exact_columns;
    int across = static_cast<int>(in.across), columns = across * LANES, thread = threadIdx.x;
    Index column = blockIdx.x * static_cast<Index>(columns) + thread;
    if (thread == 0) exact_columns = 0;
    __syncthreads();

    Moments all[1] = {{0, 0, 0}};
    if (parts) merge_blocks(all, parts, static_cast<int>(splits), columns, in);
    if (thread < columns && column < in.columns) {
        Index channel = column / in.positions;
        double rounded, rest, factor;
        if (parts) {
            double base = wide(x[channel * in.positions * in.width]);
            rounded = static_cast<Number>(base + all[0].mean);
            rest = (base - rounded) + all[0].mean;
            factor = 1 / sqrt(all[0].m2 / all[0].count + eps);
            if (blockIdx.y == 0 && column % in.positions == 0) {
                static_cast<double*>(center)[channel] = rounded;
                lost[channel] = rest;
                m2[channel] = all[0].m2;
                inv_std[channel] = factor;
            }
        } else {
            rounded = read(center, center_size, channel);
            rest = lost[channel];
            factor = inv_std[channel];
        }
        double by = read(gamma, gamma_size, channel), plus = read(beta, beta_size, channel), scale = by * factor;
        centers[thread] = static_cast<Number>(rounded);
        scales[thread] = static_cast<Number>(scale);
        offsets[thread] = static_cast<Number>(plus - rest * scale);
        if (sizeof(Number) == 4) {
            bool held = (by == 0 || within<Number>(scale, LEAST, MOST)) && within<Number>(factor, LEAST, MOST) &&
                        within<Number>(rounded, 0, NEGLIGIBLE) && within<Number>(plus - rest * scale, 0, NEGLIGIBLE);
            exact[thread] = {by, rounded + rest, factor, plus, 0, 0, !held};
            if (!held) exact_columns = 1;
        }
    }
    __syncthreads();

    int own = thread % across * LANES;  // the first of this thread's columns, of those of the block
    Walk walk(in, blockIdx.x * static_cast<Index>(columns) + own, thread / across, THREADS / across, true);
    Number c[LANES], scale[LANES], offset[LANES];
#pragma unroll
    for (int lane = 0; lane < LANES; ++lane) {
        c[lane] = centers[own + lane];
        scale[lane] = scales[own + lane];
        offset[lane] = offsets[own + lane];
    }
    auto in_number = [&](int j, Number value) {
        int lane = j % LANES;
        return scale[lane] * (value - c[lane]) + offset[lane];
    };
    if (sizeof(Number) == 8 || !exact_columns) {
        each_word<WORD, RAGGED>(walk, in, x, y, in_number);
    } else {
        each_word<WORD, RAGGED>(walk, in, x, y, [&](int j, Number value) {
            const Exact& e = exact[own + j % LANES];
            if (!e.needed) return in_number(j, value);
            return static_cast<Number>(e.gamma * ((value - e.mean) * e.inv_std) + e.beta);
        });
    }
}

// Statistics from elsewhere, as in inference, in the form that `normalize` reads.
template <typename T>
__global__ void __launch_bounds__(THREADS, BLOCKS)
    constants(const void* mean, Index mean_size, const void* var, Index var_size, double eps, double* center,
              double* lost, double* inv_std, Index channels) {
    using Number = typename Computed<T>::type;
    Index c = blockIdx.x * static_cast<Index>(THREADS) + threadIdx.x;
    if (c >= channels) return;
    double given = read(mean, mean_size, c);
    center[c] = static_cast<Number>(given);
    lost[c] = given - center[c];
    inv_std[c] = 1 / sqrt(read(var, var_size, c) + eps);
}

// Backward

// sum(dy) and sum(dy * (x - center)) of each block's part: `parts` is (splits, columns). Both arrays are read here
// because dx needs the sums, and once more in `combine` because by then they are gone from the multiprocessors.
template <typename T, int WORD, int LANES, bool RAGGED>
__global__ void __launch_bounds__(THREADS, BLOCKS)
    gradient_sums(const T* __restrict__ dy, const T* __restrict__ x, const void* center, Index center_size,
                  Sums* __restrict__ parts, Layout in) {
    using Number = typename Computed<T>::type;
    int across = static_cast<int>(in.across), thread = threadIdx.x;
    Index column = (blockIdx.x * in.across + thread % across) * LANES;
    Walk walk(in, column, thread / across, THREADS / across, false);

    Number c[LANES] = {};
    Sums mine[LANES] = {};
    if (column < in.columns) {
#pragma unroll
        for (int lane = 0; lane < LANES; ++lane)
            c[lane] = static_cast<Number>(read(center, center_size, (column + lane) / in.positions));
    }
    while (walk.left > 0) {
        Place places[TILE];
#pragma unroll
        for (int t = 0; t < TILE; ++t) places[t] = walk.next<WORD, RAGGED>(in);
        Tile<T, WORD> tile, gradient;
        tile.load(x, places);
        gradient.load(dy, places);
#pragma unroll
        for (int lane = 0; lane < LANES; ++lane) {
            Number sum = 0, products = 0;
            each<WORD, LANES, RAGGED>(places, lane, [&](int t, int j) {
                Number g = wide(gradient.words[t].at[j]);
                sum += g;
                products += g * (wide(tile.words[t].at[j]) - c[lane]);
            });
            if (held(products)) {
                mine[lane].dy += sum;
                mine[lane].dy_deviation += products;
            } else {
                each<WORD, LANES, RAGGED>(places, lane, [&](int t, int j) {
                    double g = wide(gradient.words[t].at[j]);
                    mine[lane].dy += g;
                    mine[lane].dy_deviation += g * (static_cast<double>(wide(tile.words[t].at[j])) - c[lane]);
                });
            }
        }
    }
    merge_threads(mine, across);
    if (thread < across && column < in.columns) {
#pragma unroll
        for (int lane = 0; lane < LANES; ++lane) parts[blockIdx.y * in.columns + column + lane] = mine[lane];
    }
}

// dx, dgamma and dbeta, from one of two sources. With `parts`, those of `gradient_sums`: dgamma and dbeta are then
// written, and the means are over `count` values; a count of 0 says that the statistics were constants. Without,
// mean(dy) and mean(dy * x_hat) are read, and neither dgamma nor dbeta is used.
template <typename T, int WORD, int LANES, bool RAGGED>
__global__ void __launch_bounds__(THREADS, BLOCKS)
    combine(const T* __restrict__ dy, const T* __restrict__ x, T* __restrict__ dx, const Sums* __restrict__ parts,
            Index splits, double count, const double* mean_dy, const double* mean_dy_x_hat, const void* center,
            Index center_size, const double* lost, const double* inv_std, const void* gamma, Index gamma_size,
            void* dgamma, void* dbeta, Index gradient_size, Layout in) {
    using Number = typename Computed<T>::type;
    __shared__ Number centers[THREADS], scales[THREADS], slopes[THREADS], shifts[THREADS];
    __shared__ Exact exact[sizeof(Number) == 8 ? 1 : THREADS];
    __shared__ int exact_columns;
    int across = static_cast<int>(in.across), columns = across * LANES, thread = threadIdx.x;
    Index column = blockIdx.x * static_cast<Index>(columns) + thread;
    if (thread == 0) exact_columns = 0;
    __syncthreads();

    Sums all[1] = {{0, 0}};
    if (parts) merge_blocks(all, parts, static_cast<int>(splits), columns, in);
    if (thread < columns && column < in.columns) {
        Index channel = column / in.positions;
        double rest = lost[channel], factor = inv_std[channel], of_dy = 0, of_dy_x_hat = 0;
        if (parts) {
            double x_hat_sum = (all[0].dy_deviation - rest * all[0].dy) * factor;
            if (blockIdx.y == 0 && column % in.positions == 0) {
                write(dgamma, gradient_size, channel, x_hat_sum);
                write(dbeta, gradient_size, channel, all[0].dy);
            }
            if (count > 0) {
                of_dy = all[0].dy / count;
                of_dy_x_hat = x_hat_sum / count;
            }
        } else {
            of_dy = mean_dy[channel];
            of_dy_x_hat = mean_dy_x_hat[channel];
        }
        double slope = -factor * of_dy_x_hat, shift = -of_dy - slope * rest;
        double by = read(gamma, gamma_size, channel), rounded = read(center, center_size, channel);
        centers[thread] = static_cast<Number>(rounded);
        scales[thread] = static_cast<Number>(by * factor);
        slopes[thread] = static_cast<Number>(slope);
        shifts[thread] = static_cast<Number>(shift);
        if (sizeof(Number) == 4) {
            bool held = (by == 0 || within<Number>(by * factor, LEAST, MOST)) && within<Number>(factor, LEAST, MOST) &&
                        within<Number>(rounded, 0, NEGLIGIBLE) && within<Number>(shift, 0, NEGLIGIBLE) &&
                        within<Number>(of_dy_x_hat, 0, NEGLIGIBLE);
            exact[thread] = {by, rounded + rest, factor, 0, of_dy, of_dy_x_hat, !held};
            if (!held) exact_columns = 1;
        }
    }
    __syncthreads();

    int own = thread % across * LANES;
    Walk walk(in, blockIdx.x * static_cast<Index>(columns) + own, thread / across, THREADS / across, true);
    Number c[LANES], scale[LANES], slope[LANES], shift[LANES];
#pragma unroll
    for (int lane = 0; lane < LANES; ++lane) {
        c[lane] = centers[own + lane];
        scale[lane] = scales[own + lane];
        slope[lane] = slopes[own + lane];
        shift[lane] = shifts[own + lane];
    }
    auto in_number = [&](int j, Number value, Number g) {
        int lane = j % LANES;
        return scale[lane] * (g + slope[lane] * (value - c[lane]) + shift[lane]);
    };
    if (sizeof(Number) == 8 || !exact_columns) {
        each_word<WORD, RAGGED>(walk, in, x, dy, dx, in_number);
    } else {
        each_word<WORD, RAGGED>(walk, in, x, dy, dx, [&](int j, Number value, Number g) {
            const Exact& e = exact[own + j % LANES];
            if (!e.needed) return in_number(j, value, g);
            double x_hat = (value - e.mean) * e.inv_std;
            if (e.of_dy_x_hat == 0) x_hat = 0;  // constants: x, which may be infinite, is no part of it
            return static_cast<Number>(e.gamma * e.inv_std * (g - e.of_dy - x_hat * e.of_dy_x_hat));
        });
    }
}
