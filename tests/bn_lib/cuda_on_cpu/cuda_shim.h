// Enough of CUDA to compile batchnorm.cu with g++ and to run it, one thread at a time, on a CPU.
//
// Blocks run one after the other. The threads of a block are fibers of one thread of the system, and the one that runs
// is left only at __syncthreads(), so every run does the same. The order of threads and of blocks can be turned around:
// a kernel whose results then differ lacks a barrier, or reads shared memory that it has not written.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ static

struct Dim {
    unsigned x, y, z;
};
static Dim threadIdx, blockIdx, blockDim, gridDim;

inline float half_to_float(unsigned short bits) {
    _Float16 half;
    std::memcpy(&half, &bits, sizeof half);
    return half;
}
inline unsigned short float_to_half(float value) {
    _Float16 half = static_cast<_Float16>(value);
    unsigned short bits;
    std::memcpy(&bits, &half, sizeof bits);
    return bits;
}
using std::sqrt;

namespace shim {

constexpr std::size_t STACK = 1 << 16;
struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[STACK]};
    bool ended;
};
static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static std::function<void()> body;
static unsigned running;

inline void to_scheduler() { swapcontext(&fibers[running].context, &scheduler); }

inline void run_fiber() {
    body();
    fibers[running].ended = true;
}

// False if some threads wait at a barrier that others never come to.
inline bool run_block(unsigned threads, bool backwards) {
    if (fibers.size() < threads) fibers = std::vector<Fiber>(threads);
    for (unsigned i = 0; i < threads; ++i) {
        getcontext(&fibers[i].context);
        fibers[i].context.uc_stack.ss_sp = fibers[i].stack.get();
        fibers[i].context.uc_stack.ss_size = STACK;
        fibers[i].context.uc_link = &scheduler;
        fibers[i].ended = false;
        makecontext(&fibers[i].context, run_fiber, 0);
    }
    for (unsigned ended = 0; ended < threads;) {
        for (unsigned i = 0; i < threads; ++i) {
            running = backwards ? threads - 1 - i : i;
            threadIdx = {running, 0, 0};
            swapcontext(&scheduler, &fibers[running].context);
        }
        ended = std::count_if(fibers.begin(), fibers.begin() + threads, [](const Fiber& f) { return f.ended; });
        if (ended != 0 && ended != threads) return false;
    }
    return true;
}

// As cuLaunchKernel: `arguments` are addresses of the arguments' values.
template <typename... Parameters, std::size_t... I>
bool launch(void (*kernel)(Parameters...), const unsigned* grid, unsigned threads, void** arguments, bool backwards,
            std::index_sequence<I...>) {
    body = [=] { kernel(*static_cast<std::remove_const_t<Parameters>*>(arguments[I])...); };
    gridDim = {grid[0], grid[1], 1};
    blockDim = {threads, 1, 1};
    unsigned blocks = grid[0] * grid[1];
    for (unsigned i = 0; i < blocks; ++i) {
        unsigned block = backwards ? blocks - 1 - i : i;
        blockIdx = {block % grid[0], block / grid[0], 0};
        if (!run_block(threads, backwards)) return false;
    }
    return true;
}
template <typename... Parameters>
bool launch(void (*kernel)(Parameters...), const unsigned* grid, unsigned threads, void** arguments, bool backwards) {
    return launch(kernel, grid, threads, arguments, backwards, std::index_sequence_for<Parameters...>{});
}

// The bytes of each parameter, and how many there are.
template <typename... Parameters>
int parameters(void (*)(Parameters...), int* sizes) {
    int i = 0;
    ((sizes[i++] = sizeof(Parameters)), ...);
    return i;
}

}  // namespace shim

inline void __syncthreads() { shim::to_scheduler(); }

// Makes one instance of a kernel callable by number.
#define KERNEL(number, ...)                                                                                     \
    extern "C" int parameters_##number(int* sizes) { return shim::parameters(__VA_ARGS__, sizes); }             \
    extern "C" bool launch_##number(const unsigned* grid, unsigned threads, void** arguments, bool backwards) { \
        return shim::launch(__VA_ARGS__, grid, threads, arguments, backwards);                                  \
    }
