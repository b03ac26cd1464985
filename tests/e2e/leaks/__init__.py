"""Sites with logins as beginners write them, for the tests that nothing of one visitor reaches another.

All serve the same paths:

    POST /login              name=...; logs in
    GET  /me                 the visitor's page; says nothing of caches
    GET  /guess              the same, with a check that a framework may not count as reading the session
    GET  /account/...        the same below any name, such as /account/style.css
    GET  /form               a form with a secret against forged requests in it, another one each time
    GET  /hello              in the language of Accept-Language, without Vary
    GET  /mistake            the visitor's page with Cache-Control: max-age=60
    GET  /mistake/cookie     the same with Set-Cookie
    GET  /public/hello       in the language of Accept-Language, with Vary, public
    GET  /article/N          the article's version, public
    POST /article/N          a new version
    POST /api/N              the same, from where no URL says so: told by `hotplate.cache.invalidate`
"""
