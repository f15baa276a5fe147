// SPDX-License-Identifier: Apache-2.0
// What {fmt} has in its shared library, compiled here from its own headers: the name of that
// library has the version in it, so a plugin linked with it would not load after an upgrade of the
// distribution. Using the headers only, everywhere, takes six seconds more for each file.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {
template FMT_API auto dragonbox::to_decimal(float x) noexcept -> dragonbox::decimal_fp<float>;
template FMT_API auto dragonbox::to_decimal(double x) noexcept -> dragonbox::decimal_fp<double>;
template FMT_API auto thousands_sep_impl(locale_ref) -> thousands_sep_result<char>;
template FMT_API auto decimal_point_impl(locale_ref) -> char;
template FMT_API auto locale_ref::get<std::locale>() const -> std::locale;
#if FMT_VERSION >= 100000
template FMT_API void vformat_to(buffer<char>& to, string_view form, vformat_args<>::type arguments,
                                 locale_ref);
#endif
}  // namespace detail
FMT_END_NAMESPACE
