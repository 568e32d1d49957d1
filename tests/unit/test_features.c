// SPDX-License-Identifier: BSD-2-Clause
// What guests get of the host's ISA: nothing that the probe did not find, nothing lost.
// units: vcpu/features.c vcpu/hostpmu.c vcpu/sbi/fwft.c tests/fake/fake_base.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot/options.h"
#include "boot/platform.h"
#include "sched/timer_hart.h"
#include "vcpu/features.h"

/* As QEMU 10's `max`, and then some: longer than half a kilobyte. */
#define MAX \
    "i m a f d c b v h zic64b zicbom zicbop zicboz ziccamoa ziccif zicclsm ziccrse zicfilp " \
    "zicfiss zicond zicntr zicsr zifencei zihintntl zihintpause zihpm zimop zmmul za64rs zaamo " \
    "zabha zacas zama16b zalrsc zawrs zfa zfbfmin zfh zfhmin zca zcb zcd zcmop zba zbb zbc zbkb " \
    "zbkc zbkx zbs zk zkn zknd zkne zknh zkr zks zksed zksh zkt ztso zvbb zvbc zve32f zve32x " \
    "zve64f zve64d zve64x zvfbfmin zvfbfwma zvfh zvfhmin zvkb zvkg zvkn zvknc zvkned zvkng " \
    "zvknha zvknhb zvks zvksc zvksed zvksg zvksh zvkt shcounterenw sha shgatpa shtvala shvsatpa " \
    "shvstvala shvstvecd smaia smcdeleg smstateen ssaia ssccfg ssccptr sscofpmf sscounterenw " \
    "sscsrind ssdbltrp ssnpm sspm ssstateen sstc sstvala sstvecd ssu64xl supm ssctr svadu " \
    "svinval svnapot svpbmt svvptc zvl128b"

static struct platform p;
bool timer_sstc;

const char *boot_option(const char *name)
{
    (void)name;
    return NULL;
}

bool platform_has(const struct platform *platform_, const char *extension)
{
    size_t n = strlen(extension);

    for (const char *s = platform_->isa; (s = strstr(s, extension)); s++)
        if ((s == platform_->isa || s[-1] == ' ') && (s[n] == ' ' || !s[n]))
            return true;
    return false;
}

static bool guests_have(const char *extension)
{
    struct platform guest;

    strcpy(guest.isa, vcpu_isa());
    return platform_has(&guest, extension);
}

static void probe(const char *isa)
{
    strcpy(p.isa, isa);
    memset(&vcpu_features, 0, sizeof(vcpu_features));
    features_probe(&p);
}

static int setup(void **state)
{
    (void)state;
    fake_arch_reset();
    memset(&p, 0, sizeof(p));
    p.cbom_block = p.cboz_block = 64;
    arch_zero_block = 0;
    fake_csr_put(CSR_VLENB, 16);
    return 0;
}

static void test_everything(void **state)
{
    /* Each needs a switch that is not there (yet), or is the hypervisor's own. */
    static const char *const kept[] = {
        "h",     "zicfilp",  "zicfiss",  "shcounterenw", "sha",       "shgatpa",  "shtvala",
        "smaia", "smcdeleg", "ssaia",    "sscofpmf",     "sscsrind",  "ssctr",    "ssdbltrp",
        "sspm",  "ssccfg",   "shvsatpa", "shvstvala",    "shvstvecd", "smstateen"};
    struct guest g = {0};
    char host[] = MAX;

    (void)state;
    probe(MAX);
    for (char *word = strtok(host, " "); word; word = strtok(NULL, " ")) {
        bool expected = true;

        for (unsigned i = 0; i < ARRAY_LEN(kept); i++)
            expected &= strcmp(word, kept[i]) != 0;
        if (guests_have(word) != expected)
            fail_msg("%s is %s guests' ISA", word, expected ? "not in" : "in");
    }
    features_apply(&g);
    assert_true(g.henvcfg & HENVCFG_CBZE);
    assert_int_equal(vcpu_features.vlenb, 16);
}

/* A tree may promise what traps. */
static void test_promised_only(void **state)
{
    static const unsigned gone[] = {CSR_VLENB,    CSR_SEED,      CSR_HSTATEEN0, CSR_SENVCFG,
                                    CSR_STIMECMP, CSR_VSTIMECMP, CSR_HENVCFG};
    static const char *const words[] = {"v",      "zve32x", "zvbb",   "zvl128b",  "zkr",
                                        "zk",     "sstc",   "ssnpm",  "supm",     "svadu",
                                        "zicbom", "zicboz", "svpbmt", "ssstateen"};
    struct guest g = {0};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(gone); i++)
        fake_csr_absent[gone[i]] = true;
    probe(MAX);
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        assert_false(guests_have(words[i]));
    assert_true(guests_have("zba"));
    features_apply(&g);
    assert_int_equal(g.henvcfg, 0);
    assert_int_equal(g.hstateen0, 0);
    assert_int_equal(vcpu_features.vlenb, 0);
    expect_assert_failure(
        probe("i m a f c")); /* a panic: guests could not be given D's registers, nor do without */
}

/* State that guests reach without having been given it, unless hstateen0 keeps them away. */
static void test_unswitched(void **state)
{
    (void)state;
    probe(MAX);
    assert_int_equal(vcpu_features.unswitched, 0);
    assert_false(vcpu_features.svrsw60t59b || guests_have("svrsw60t59b"));
    fake_csr_absent[CSR_HSTATEEN0] = true;
    probe(MAX " svrsw60t59b");
    assert_int_equal(vcpu_features.unswitched,
                     UNSWITCHED_VSISELECT | UNSWITCHED_JVT | UNSWITCHED_SCONTEXT);
    assert_true(vcpu_features.svrsw60t59b && guests_have("svrsw60t59b"));
    fake_csr_absent[CSR_VSISELECT] = fake_csr_absent[CSR_JVT] = true;
    probe(MAX);
    assert_int_equal(vcpu_features.unswitched, UNSWITCHED_SCONTEXT);
}

/* henvcfg takes the bits of both on QEMU's harts that have neither: only the instructions tell. */
static void test_cache_blocks(void **state)
{
    (void)state;
    fake_cboz_block = 0;
    fake_cbo_flush_traps = true;
    probe(MAX);
    assert_false(guests_have("zicbom") || guests_have("zicboz"));
    assert_int_equal(arch_zero_block, 0);
    fake_cboz_block = 128; /* the tree says 64: one of both is wrong */
    fake_cbo_flush_traps = false;
    probe(MAX);
    assert_true(guests_have("zicbom"));
    assert_false(guests_have("zicboz"));
    p.cbom_block = p.cboz_block = 0; /* not told, or harts differ */
    probe(MAX);
    assert_false(guests_have("zicbom") || guests_have("zicboz"));
    assert_int_equal(arch_zero_block, 0);
    p.cboz_block = 128;
    probe(MAX);
    assert_true(guests_have("zicboz"));
    assert_int_equal(arch_zero_block, 128);
    arch_zero_block = 0;
}

static void test_odd_vector_length(void **state)
{
    (void)state;
    fake_csr_put(CSR_VLENB, 17);
    probe(MAX);
    assert_int_equal(vcpu_features.vlenb, 0);
    assert_false(guests_have("v"));
    fake_csr_put(CSR_VLENB, 32);
    probe("i m a f d c zve32x zve32f"); /* the parts without the whole */
    assert_int_equal(vcpu_features.vlenb, 32);
    assert_true(guests_have("zve32f"));
    probe("i m a f d c");
    assert_int_equal(vcpu_features.vlenb, 0);
    expect_assert_failure(
        probe("i m a f c")); /* a panic: guests could not be given D's registers, nor do without */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_everything, setup),
        cmocka_unit_test_setup(test_promised_only, setup),
        cmocka_unit_test_setup(test_unswitched, setup),
        cmocka_unit_test_setup(test_cache_blocks, setup),
        cmocka_unit_test_setup(test_odd_vector_length, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
