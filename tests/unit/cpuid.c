// SPDX-License-Identifier: BSD-2-Clause
// The CPUID table: its order, the facts in it that engines and guests rely on, and that it has no instruction that the
// host lacks.
#include "machine/cpuid.h"

#include "tests/unit/check.h"

static const struct cpuid_leaf *find(const struct cpuid_table *t, uint32_t leaf)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->leaves[i].leaf == leaf)
            return &t->leaves[i];
    return NULL;
}

static void test_order(const struct cpuid_table *t)
{
    const struct cpuid_leaf *l = t->leaves;
    for (size_t i = 1; i < t->count; i++)
        CHECK_SAY(l[i].leaf > l[i - 1].leaf || (l[i].leaf == l[i - 1].leaf && l[i].subleaf > l[i - 1].subleaf),
                  "sorted by leaf, then subleaf");
}

static void test_ranges(const struct cpuid_table *t)
{
    const struct cpuid_leaf *zero = find(t, 0), *extended = find(t, 0x80000000);
    CHECK(zero && find(t, zero->eax));
    CHECK(extended && find(t, extended->eax));
    for (size_t i = 0; i < t->count; i++) {
        const struct cpuid_leaf *l = &t->leaves[i];
        CHECK_SAY(l->leaf <= find(t, l->leaf & 0x80000000)->eax, "no leaf above the highest announced");
    }
    char vendor[13] = "";
    memcpy(vendor, &zero->ebx, 4);
    memcpy(vendor + 4, &zero->edx, 4);
    memcpy(vendor + 8, &zero->ecx, 4);
    CHECK_STR(vendor, "RingsideVCPU");
}

static void test_features(const struct cpuid_table *t)
{
    const struct cpuid_leaf *one = find(t, 1), *seven = find(t, 7), *ext = find(t, 0x80000001);
    CHECK(ext->edx & 1u << 29);    // long mode
    CHECK(ext->edx & 1u << 20);    // NX
    CHECK(one->edx & 1u << 6);     // PAE
    CHECK(one->edx & 1u << 0);     // x87
    CHECK(one->edx & 3u << 25);    // SSE, SSE2
    CHECK(!(one->ecx & 1u << 27)); // OSXSAVE is the engines' to add
    CHECK(!(one->ecx & 1u << 31)); // no hypervisor
    CHECK(!(one->ecx & 1u << 24)); // no TSC-deadline timer, no x2APIC
    CHECK(!(one->ecx & 1u << 21));
    CHECK(seven->ebx & 1u << 20);              // SMAP
    CHECK(find(t, 0x80000007)->edx & 1u << 8); // invariant TSC
    CHECK_EQ(find(t, 0x80000008)->eax & 0xffff, 48 << 8 | 46);
}

// On a host without a feature the guest has it not; all else stays.
static void test_host(void)
{
    struct cpuid_leaf all[MACHINE_CPUID_LEAVES], less[MACHINE_CPUID_LEAVES], none[MACHINE_CPUID_LEAVES];
    struct cpuid_table with = machine_cpuid(all, ~0ull);
    struct cpuid_table without = machine_cpuid(less, ~X86_FEATURE_BIT(BMI1)), bare = machine_cpuid(none, 0);
    CHECK_EQ(find(&with, 7)->ebx ^ find(&without, 7)->ebx, 1u << 3);
    CHECK_EQ(find(&with, 1)->ecx, find(&without, 1)->ecx);
    CHECK(find(&with, 1)->ecx & 1u << 23); // POPCNT
    CHECK(!(find(&bare, 1)->ecx & 1u << 23));
    CHECK(!(find(&bare, 7)->ebx & (1u << 3 | 1u << 8 | 1u << 19))); // BMI1, BMI2, ADX
    CHECK_EQ(find(&bare, 0x80000001)->ecx, 0);
    CHECK_EQ(find(&with, 0xd)->eax, 7);
    CHECK_EQ(find(&with, 0xd)->ecx, 832);
    CHECK_EQ(find(&bare, 0xd)->eax, 0);

    // AVX is nothing without XSAVE, nor AVX2 without AVX.
    struct cpuid_table no_xsave = machine_cpuid(less, ~X86_FEATURE_BIT(XSAVE));
    CHECK(!(find(&no_xsave, 1)->ecx & (1u << 12 | 1u << 26 | 1u << 28 | 1u << 29)));
    CHECK(!(find(&no_xsave, 7)->ebx & 1u << 5));
    test_order(&bare);
    test_ranges(&bare);
}

int main(void)
{
    struct cpuid_leaf leaves[MACHINE_CPUID_LEAVES];
    struct cpuid_table here = machine_cpuid(leaves, x86_host_features());
    test_order(&here);
    test_ranges(&here);
    test_features(&here);
    test_host();
    return check_done("cpuid");
}
