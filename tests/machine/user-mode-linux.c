/*
 * What User Mode Linux before 6.13 runs with here.
 *
 *     LD_PRELOAD=user-mode-linux.so linux.uml ...
 *
 * Floating point: it restores a process's registers by PTRACE_SETREGSET with room for what there was before AMX (HOST_FP_SIZE, 2,696 bytes, in
 * arch/x86/um of those kernels). This machine's own kernel takes the state as a whole or not at all (xstateregs_set in
 * arch/x86/kernel/fpu/regset.c). What is beyond is in its initial state: nothing in the machine has asked for it, as AMX has to be (arch_prctl,
 * ARCH_REQ_XCOMP_PERM).
 *
 * Reboots: to boot again it becomes itself once more, by execvp (main in arch/um/os-Linux/main.c), and was seen to lose its timer some time
 * after that. It ends with exit code 75 in place of that, for whoever started it to start it again.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

/* The header of the state follows the 512 bytes of FXSAVE, and begins with the set of the components that are there. */
#define HEADER 512
/* Components 0 to 9, of which the last, PKRU, ends the 2,696 bytes. */
#define KNOWN 0x3ff

long ptrace(enum __ptrace_request request, ...) {
    static long (*next)(enum __ptrace_request, ...);
    static char whole[64 * 1024] __attribute__((aligned(64)));
    va_list rest;
    va_start(rest, request);
    int pid = va_arg(rest, int);
    void *address = va_arg(rest, void *), *data = va_arg(rest, void *);
    va_end(rest);

    if (!next) next = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
    if (request != PTRACE_SETREGSET || (uintptr_t)address != NT_X86_XSTATE) return next(request, pid, address, data);

    const struct iovec *given = data;
    unsigned enabled, size, largest, high;
    __cpuid_count(0xd, 0, enabled, size, largest, high);
    if (given->iov_len >= size || size > sizeof whole) return next(request, pid, address, data);
    uint64_t components;
    memset(whole, 0, size);
    memcpy(whole, given->iov_base, given->iov_len);
    memcpy(&components, whole + HEADER, sizeof components);
    components &= KNOWN;
    memcpy(whole + HEADER, &components, sizeof components);
    struct iovec all = {whole, size};
    return next(request, pid, address, &all);
}

int execvp(const char *file, char *const arguments[]) {
    (void)file, (void)arguments;
    _exit(75);
}
