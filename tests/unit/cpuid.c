// SPDX-License-Identifier: BSD-2-Clause
// The CPUID table: its order, and the facts in it that engines and guests rely on.
#include "machine/cpuid.h"

#include "tests/unit/check.h"

static const struct cpuid_leaf *find(uint32_t leaf)
{
    for (size_t i = 0; i < machine_cpuid.count; i++)
        if (machine_cpuid.leaves[i].leaf == leaf)
            return &machine_cpuid.leaves[i];
    return NULL;
}

static void test_order(void)
{
    const struct cpuid_leaf *l = machine_cpuid.leaves;
    for (size_t i = 1; i < machine_cpuid.count; i++)
        CHECK_SAY(l[i].leaf > l[i - 1].leaf || (l[i].leaf == l[i - 1].leaf && l[i].subleaf > l[i - 1].subleaf),
                  "sorted by leaf, then subleaf");
}

static void test_ranges(void)
{
    CHECK(find(0) && find(find(0)->eax));
    CHECK(find(0x80000000) && find(find(0x80000000)->eax));
    for (size_t i = 0; i < machine_cpuid.count; i++) {
        const struct cpuid_leaf *l = &machine_cpuid.leaves[i];
        CHECK_SAY(l->leaf <= find(l->leaf & 0x80000000)->eax, "no leaf above the highest announced");
    }
    char vendor[13] = "";
    memcpy(vendor, &find(0)->ebx, 4);
    memcpy(vendor + 4, &find(0)->edx, 4);
    memcpy(vendor + 8, &find(0)->ecx, 4);
    CHECK_STR(vendor, "RingsideVCPU");
}

static void test_features(void)
{
    const struct cpuid_leaf *one = find(1), *seven = find(7), *ext = find(0x80000001);
    CHECK(ext->edx & 1u << 29);      // long mode
    CHECK(ext->edx & 1u << 20);      // NX
    CHECK(one->edx & 1u << 6);       // PAE
    CHECK(!(one->edx & 1u << 0));    // no x87
    CHECK(!(one->edx & (3u << 25))); // no SSE
    CHECK(!(one->ecx & (3u << 26))); // no XSAVE
    CHECK(!(one->ecx & 1u << 31));   // no hypervisor
    CHECK(!(one->ecx & 1u << 24));   // no TSC-deadline timer, no x2APIC
    CHECK(!(one->ecx & 1u << 21));
    CHECK(seven->ebx & 1u << 20);           // SMAP
    CHECK(find(0x80000007)->edx & 1u << 8); // invariant TSC
    CHECK_EQ(find(0x80000008)->eax & 0xffff, 48 << 8 | 46);
}

int main(void)
{
    test_order();
    test_ranges();
    test_features();
    return check_done("cpuid");
}
